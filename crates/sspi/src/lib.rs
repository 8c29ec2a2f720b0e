//! The SSPI contract: packages, function table, buffers, flags, status.
//!
//! A security package implements [`SecurityPackage`]; a caller uses it through a
//! [`SecurityFunctionTable`], by handle and by buffer, and need not know which package it is. The
//! function names are SSPI's in snake case, and so are the flags, the buffer types and the status
//! codes, with the values of the Windows headers.
//!
//! This crate has no cryptography, no ASN.1 and no I/O. Where a package needs a round trip, the
//! call answers [`Step::ExchangeNeeded`]; the caller does the round trip and goes on with
//! [`SecurityFunctionTable::complete_exchange`].

mod attribute;
mod bindings;
mod buffer;
mod buffer_type;
mod calls;
mod context;
mod credential;
mod error;
mod flags;
mod function;
mod handle;
mod identity;
pub mod image;
mod impersonation;
mod logon;
mod name;
mod package;
pub mod parts;
mod registered;
mod rules;
mod settings;
mod slab;
mod status;
mod table;

pub use attribute::{
    ContextAttribute, ContextAttributeValue, LastClientTokenStatus, NegotiationState,
    SecPkgContextDceInfo, SecPkgContextKeyInfo, SecPkgContextLifespan, SecPkgContextNativeNames,
    SecPkgContextNegotiationInfo, SecPkgContextSizes, SecPkgContextStreamSizes,
};
pub use bindings::ChannelBindings;
pub use buffer::{
    InputDesc, SECQOP_WRAP_NO_ENCRYPT, SECQOP_WRAP_OOB_DATA, SecBuffer, SecBufferDesc,
};
pub use buffer_type::{BufferAttributes, BufferType};
pub use context::{ContextRef, OwnedCredHandle, OwnedCtxtHandle};
pub use credential::{
    CredentialAttribute, CredentialAttributeValue, CredentialUse, Expiry,
    KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY, SECPKG_ID_NONE, SecPkgInfo,
};
pub use error::Error;
pub use flags::{
    AcceptorAttributes, AcceptorRequirements, ExportFlags, InitiatorAttributes,
    InitiatorRequirements, SecPkgCapabilities,
};
pub use function::{Function, FunctionSet};
pub use handle::{CredHandle, CtxtHandle};
pub use identity::{AccessToken, Identity, ImpersonationLevel, PackedCredential};
pub use impersonation::{
    AssumedIdentity, Impersonation, ThreadIdentity, thread_account, thread_token,
};
pub use logon::{Claim, ClaimValues, GroupSid, LogonInformation};
pub use name::{AccountName, ServicePrincipalName};
pub use package::{
    AcceptRequest, AcquireRequest, BoxedExchange, ChangePasswordRequest, Established,
    EstablishedAttributes, InitializeRequest, MechListMic, MechanismInfo, SecurityPackage, Step,
};
pub use registered::RegisteredPackage;
pub use rules::{Askers, AttributeRule, attribute_rules};
pub use settings::{CredentialSettings, SettingFields};
pub use status::SecurityStatus;
pub use table::{
    AcquiredCredential, ContextSealer, HandshakeOutcome, SecurityFunctionTable,
    SecurityFunctionTableBuilder,
};
