//! Attributes of contexts and credentials: into the structures of sspi.h, and out of them.
//!
//! The A and the W form of a structure are the same but for the type behind its pointers (the layouts are
//! asserted in `types`), so the W form stands for both here.

use core::ffi::c_void;

use trihound::sspi::{
    ChannelBindings, ContextAttribute, ContextAttributeValue, CredHandle as Credential,
    CredentialAttribute, CredentialAttributeValue, CtxtHandle as Context, Error, Expiry,
    SecPkgContextLifespan, SecurityStatus,
};

use crate::calls::contexts::attribute_bits;
use crate::calls::packages::info;
use crate::guard::{Answer, OK};
use crate::handles::required;
use crate::memory;
use crate::moment::{expiry, moment, timestamp};
use crate::pointer::{Out, bytes, parameter, read};
use crate::provider::{Provider, provider};
use crate::text::{Narrow, Text, Wide, required as required_text};
use crate::token;
use crate::types as c;
use crate::types::{CredHandle, CtxtHandle, ULONG};

/// Where an attribute goes, or comes from.
#[derive(Clone, Copy)]
struct Buffer {
    pointer: *mut c_void,
    /// What the caller says of its size; the first functions had no such argument.
    size: Option<ULONG>,
}

impl Buffer {
    fn check<S>(self) -> Result<*mut S, Error> {
        let needed = size_of::<S>();
        match self.size {
            Some(size) if (size as usize) < needed => {
                Err(Error::buffer_too_small("attribute", needed, size as usize))
            }
            _ => Ok(self.pointer.cast()),
        }
    }

    /// The place of a structure.
    ///
    /// # Safety
    ///
    /// The pointer is NULL, not aligned, or an `S` can be written there for as long as the place lives.
    unsafe fn place<S>(self) -> Result<Out<S>, Error> {
        // SAFETY: the contract is the same.
        unsafe { Out::new(self.check()?, "pBuffer") }
    }

    /// The structure that is there.
    ///
    /// # Safety
    ///
    /// The pointer is NULL, not aligned, or an `S` is there.
    unsafe fn read<S: Copy>(self) -> Result<S, Error> {
        // SAFETY: the contract is the same.
        unsafe { read(self.check::<S>()?, "pBuffer") }
    }
}

fn unsupported(kind: &str, number: ULONG) -> Error {
    Error::new(
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
        format!("there is no {kind} attribute {number} here"),
    )
}

fn context_attribute(number: ULONG) -> Result<ContextAttribute, Error> {
    ContextAttribute::from_number(number).ok_or_else(|| unsupported("context", number))
}

fn credential_attribute(number: ULONG) -> Result<CredentialAttribute, Error> {
    CredentialAttribute::from_number(number).ok_or_else(|| unsupported("credential", number))
}

fn count(bytes: &[u8]) -> Result<ULONG, Error> {
    u32::try_from(bytes.len())
        .map_err(|_| parameter("the attribute is longer than 32 bits can say"))
}

pub(crate) unsafe fn query_context<T: Text>(
    context: *mut CtxtHandle,
    attribute: ULONG,
    buffer: *mut c_void,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: None,
    };
    // SAFETY: what the C caller promises.
    unsafe { queried_context::<T>(context, attribute, buffer) }
}

pub(crate) unsafe fn query_context_ex<T: Text>(
    context: *mut CtxtHandle,
    attribute: ULONG,
    buffer: *mut c_void,
    size: ULONG,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: Some(size),
    };
    // SAFETY: what the C caller promises.
    unsafe { queried_context::<T>(context, attribute, buffer) }
}

unsafe fn queried_context<T: Text>(
    context: *const CtxtHandle,
    attribute: ULONG,
    buffer: Buffer,
) -> Answer {
    // SAFETY: what the C caller promises.
    let context = unsafe { required::<Context>(context) }?;
    let table = &provider()?.table;
    let value = match context_attribute(attribute) {
        Ok(attribute) => table.query_context_attributes(context, attribute)?,
        // A handle that names nothing is told before a number that nobody has.
        Err(error) => return table.context(context).and(Err(error)),
    };
    // SAFETY: the structure of this attribute is what the C caller has there.
    unsafe { put_context::<T>(buffer, context, value) }?;
    OK
}

/// # Safety
///
/// The buffer is NULL, not aligned, or the structure of the value's attribute can be written there.
#[allow(clippy::too_many_lines)] // one arm a structure
unsafe fn put_context<T: Text>(
    buffer: Buffer,
    context: Context,
    value: ContextAttributeValue,
) -> Result<(), Error> {
    use ContextAttributeValue as V;
    // The place is looked at before anything is allocated for it.
    macro_rules! place {
        ($type:ident) => {{
            // SAFETY: the contract: it is the structure of this attribute.
            unsafe { buffer.place::<c::$type>() }?
        }};
    }
    match value {
        V::Sizes(sizes) => place!(SecPkgContext_Sizes).put(c::SecPkgContext_Sizes {
            cbMaxToken: sizes.max_token,
            cbMaxSignature: sizes.max_signature,
            cbBlockSize: sizes.block_size,
            cbSecurityTrailer: sizes.security_trailer,
        }),
        V::Names(name) => place!(SecPkgContext_NamesW).put(c::SecPkgContext_NamesW {
            sUserName: memory::text::<T, _>(&name),
        }),
        V::Lifespan(span) => place!(SecPkgContext_Lifespan).put(c::SecPkgContext_Lifespan {
            tsStart: moment(span.start),
            tsExpiry: expiry(span.expiry),
        }),
        V::DceInfo(dce) => place!(SecPkgContext_DceInfo).put(c::SecPkgContext_DceInfo {
            AuthzSvc: dce.authorization_service,
            pPac: memory::bytes(&dce.pac),
        }),
        V::StreamSizes(sizes) => {
            place!(SecPkgContext_StreamSizes).put(c::SecPkgContext_StreamSizes {
                cbHeader: sizes.header,
                cbTrailer: sizes.trailer,
                cbMaximumMessage: sizes.maximum_message,
                cBuffers: sizes.buffers,
                cbBlockSize: sizes.block_size,
            });
        }
        V::KeyInfo(key) => place!(SecPkgContext_KeyInfoW).put(c::SecPkgContext_KeyInfoW {
            sSignatureAlgorithmName: memory::text::<T, _>(&key.signature_algorithm_name),
            sEncryptAlgorithmName: memory::text::<T, _>(&key.encrypt_algorithm_name),
            KeySize: key.key_size,
            SignatureAlgorithm: key.signature_algorithm,
            EncryptAlgorithm: key.encrypt_algorithm,
        }),
        V::Authority(name) => place!(SecPkgContext_AuthorityW).put(c::SecPkgContext_AuthorityW {
            sAuthorityName: memory::text::<T, _>(&name),
        }),
        V::PasswordExpiry(end) => {
            place!(SecPkgContext_PasswordExpiry).put(c::SecPkgContext_PasswordExpiry {
                tsPasswordExpires: moment(end),
            });
        }
        V::SessionKey(key) => place!(SecPkgContext_SessionKey).put(c::SecPkgContext_SessionKey {
            SessionKeyLength: count(key.expose())?,
            SessionKey: memory::bytes(key.expose()),
        }),
        V::PackageInfo(package) => {
            place!(SecPkgContext_PackageInfoW).put(c::SecPkgContext_PackageInfoW {
                PackageInfo: info::<T, _>(&package),
            });
        }
        V::UserFlags(flags) => {
            place!(SecPkgContext_UserFlags).put(c::SecPkgContext_UserFlags { UserFlags: flags });
        }
        V::NegotiationInfo(negotiated) => {
            place!(SecPkgContext_NegotiationInfoW).put(c::SecPkgContext_NegotiationInfoW {
                PackageInfo: info::<T, _>(&negotiated.package),
                NegotiationState: negotiated.state as u32,
            });
        }
        V::NativeNames(names) => {
            place!(SecPkgContext_NativeNamesW).put(c::SecPkgContext_NativeNamesW {
                sClientName: memory::text::<T, _>(&names.client_name),
                sServerName: memory::text::<T, _>(&names.server_name),
            });
        }
        V::Flags(flags) => place!(SecPkgContext_Flags).put(c::SecPkgContext_Flags {
            Flags: attribute_bits(flags),
        }),
        V::TargetInformation(target) => {
            place!(SecPkgContext_TargetInformation).put(c::SecPkgContext_TargetInformation {
                MarshalledTargetInfoLength: count(&target)?,
                MarshalledTargetInfo: memory::bytes(&target),
            });
        }
        V::AccessToken(client) => {
            place!(SecPkgContext_AccessToken).put(c::SecPkgContext_AccessToken {
                AccessToken: token::of_context(context, &client),
            });
        }
        V::UniqueBindings(data) | V::EndpointBindings(data) => {
            let place = place!(SecPkgContext_Bindings);
            let whole = ChannelBindings::application_data(&data).to_buffer()?;
            place.put(c::SecPkgContext_Bindings {
                BindingsLength: count(&whole)?,
                Bindings: memory::bytes(&whole),
            });
        }
        V::ClientSpecifiedTarget(target) => {
            place!(SecPkgContext_ClientSpecifiedTarget).put(
                c::SecPkgContext_ClientSpecifiedTarget {
                    sTargetName: memory::text::<T, _>(&target),
                },
            );
        }
        V::LastClientTokenStatus(status) => {
            let status = c::SecPkgContext_LastClientTokenStatus {
                LastClientTokenStatus: status as u32,
            };
            place!(SecPkgContext_LastClientTokenStatus).put(status);
        }
        other => return Err(unsupported("context", other.attribute().number())),
    }
    Ok(())
}

pub(crate) unsafe fn set_context<T: Text>(
    context: *mut CtxtHandle,
    attribute: ULONG,
    buffer: *mut c_void,
    size: ULONG,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: Some(size),
    };
    // SAFETY: what the C caller promises.
    let context = unsafe { required::<Context>(context) }?;
    let table = &provider()?.table;
    table.context(context)?;
    let attribute = context_attribute(attribute)?;
    // SAFETY: the structure of this attribute is what the C caller has there.
    let value = unsafe { context_value::<T>(buffer, attribute) }?;
    table.set_context_attributes(context, value)?;
    OK
}

/// # Safety
///
/// The buffer is NULL, not aligned, or the structure of the attribute is there.
unsafe fn context_value<T: Text>(
    buffer: Buffer,
    attribute: ContextAttribute,
) -> Result<ContextAttributeValue, Error> {
    use ContextAttributeValue as V;
    // SAFETY: the contract.
    unsafe {
        Ok(match attribute {
            ContextAttribute::UserFlags => {
                V::UserFlags(buffer.read::<c::SecPkgContext_UserFlags>()?.UserFlags)
            }
            ContextAttribute::Lifespan => {
                let span = buffer.read::<c::SecPkgContext_Lifespan>()?;
                V::Lifespan(SecPkgContextLifespan {
                    start: timestamp(span.tsStart),
                    expiry: Expiry::At(timestamp(span.tsExpiry)),
                })
            }
            ContextAttribute::PasswordExpiry => {
                let end = buffer.read::<c::SecPkgContext_PasswordExpiry>()?;
                V::PasswordExpiry(timestamp(end.tsPasswordExpires))
            }
            ContextAttribute::TargetInformation => {
                let target = buffer.read::<c::SecPkgContext_TargetInformation>()?;
                let (start, length) = (
                    target.MarshalledTargetInfo,
                    target.MarshalledTargetInfoLength,
                );
                V::TargetInformation(bytes(start, length, "MarshalledTargetInfo")?.to_vec())
            }
            ContextAttribute::ClientSpecifiedTarget => {
                let target = buffer.read::<c::SecPkgContext_ClientSpecifiedTarget>()?;
                V::ClientSpecifiedTarget(required_text::<T>(
                    target.sTargetName.cast(),
                    "sTargetName",
                )?)
            }
            ContextAttribute::UniqueBindings => V::UniqueBindings(bindings(buffer)?),
            ContextAttribute::EndpointBindings => V::EndpointBindings(bindings(buffer)?),
            other => {
                return Err(Error::new(
                    SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
                    format!("the attribute {other:?} of a context is not set from outside"),
                ));
            }
        })
    }
}

/// # Safety
///
/// The buffer is NULL, not aligned, or a SecPkgContext_Bindings is there.
unsafe fn bindings(buffer: Buffer) -> Result<Vec<u8>, Error> {
    // SAFETY: the contract.
    let image = unsafe {
        let bindings = buffer.read::<c::SecPkgContext_Bindings>()?;
        bytes(
            bindings.Bindings.cast(),
            bindings.BindingsLength,
            "Bindings",
        )?
    };
    Ok(ChannelBindings::parse(image)?.application_data.to_vec())
}

pub(crate) unsafe fn query_credential<T: Text>(
    credential: *mut CredHandle,
    attribute: ULONG,
    buffer: *mut c_void,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: None,
    };
    // SAFETY: what the C caller promises.
    unsafe { queried_credential::<T>(credential, attribute, buffer) }
}

pub(crate) unsafe fn query_credential_ex<T: Text>(
    credential: *mut CredHandle,
    attribute: ULONG,
    buffer: *mut c_void,
    size: ULONG,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: Some(size),
    };
    // SAFETY: what the C caller promises.
    unsafe { queried_credential::<T>(credential, attribute, buffer) }
}

fn is_there(provider: &Provider, credential: Credential) -> Result<(), Error> {
    provider.table.credential_expiry(credential).map(|_| ())
}

unsafe fn queried_credential<T: Text>(
    credential: *const CredHandle,
    attribute: ULONG,
    buffer: Buffer,
) -> Answer {
    // SAFETY: what the C caller promises.
    let credential = unsafe { required::<Credential>(credential) }?;
    let provider = provider()?;
    is_there(provider, credential)?;
    let attribute = credential_attribute(attribute)?;
    let value = provider
        .table
        .query_credentials_attributes(credential, attribute)?;
    // SAFETY: the structure of this attribute is what the C caller has there.
    unsafe { put_credential::<T>(buffer, value) }?;
    OK
}

/// # Safety
///
/// The buffer is NULL, not aligned, or the structure of the value's attribute can be written there.
unsafe fn put_credential<T: Text>(
    buffer: Buffer,
    value: CredentialAttributeValue,
) -> Result<(), Error> {
    use CredentialAttributeValue as V;
    // SAFETY: the contract: each is the structure of its attribute.
    unsafe {
        match value {
            V::Names { user_name } => {
                buffer
                    .place::<c::SecPkgCredentials_NamesW>()?
                    .put(c::SecPkgCredentials_NamesW {
                        sUserName: memory::text::<T, _>(&user_name),
                    });
            }
            V::SsiProvider {
                provider_name,
                provider_info,
            } => {
                let place = buffer.place::<c::SecPkgCredentials_SSIProviderW>()?;
                place.put(c::SecPkgCredentials_SSIProviderW {
                    sProviderName: memory::text::<T, _>(&provider_name),
                    ProviderInfoLength: count(&provider_info)?,
                    ProviderInfo: memory::bytes(&provider_info),
                });
            }
            V::KdcProxySettings {
                proxy_server,
                flags,
                ..
            } => put_proxy::<T>(buffer, &proxy_server, flags)?,
            V::Cert(certificate) => {
                buffer
                    .place::<c::SecPkgCredentials_Cert>()?
                    .put(c::SecPkgCredentials_Cert {
                        EncodedCertSize: count(&certificate)?,
                        EncodedCert: memory::bytes(&certificate),
                    });
            }
            other => return Err(unsupported("credential", other.attribute().number())),
        }
    }
    Ok(())
}

/// The structure and behind it the name, into a buffer whose size has to be known.
///
/// # Safety
///
/// As many bytes as the buffer says can be written there.
unsafe fn put_proxy<T: Text>(buffer: Buffer, server: &str, flags: ULONG) -> Result<(), Error> {
    const HEAD: usize = size_of::<c::SecPkgCredentials_KdcProxySettings>();
    let name: Vec<u8> = if T::WIDE {
        server.encode_utf16().flat_map(u16::to_ne_bytes).collect()
    } else {
        server.as_bytes().to_vec()
    };
    let needed = HEAD.saturating_add(name.len());
    let size = buffer.size.ok_or_else(|| {
        parameter(
            "the proxy's name has no place of a known size; call QueryCredentialsAttributesEx",
        )
    })?;
    if (size as usize) < needed {
        return Err(Error::buffer_too_small("attribute", needed, size as usize));
    }
    let length = |length: usize| {
        u16::try_from(length)
            .map_err(|_| parameter("the proxy's name is longer than 16 bits can say"))
    };
    let head = c::SecPkgCredentials_KdcProxySettings {
        Version: c::KDC_PROXY_SETTINGS_V1,
        Flags: flags,
        ProxyServerOffset: length(HEAD)?,
        ProxyServerLength: length(name.len())?,
        ClientTlsCredOffset: 0,
        ClientTlsCredLength: 0,
    };
    // SAFETY: the contract, and the size was held against what is needed.
    unsafe {
        buffer
            .place::<c::SecPkgCredentials_KdcProxySettings>()?
            .put(head);
        let behind = buffer.pointer.cast::<u8>().wrapping_add(HEAD);
        core::ptr::copy_nonoverlapping(name.as_ptr(), behind, name.len());
    }
    Ok(())
}

pub(crate) unsafe fn set_credential<T: Text>(
    credential: *mut CredHandle,
    attribute: ULONG,
    buffer: *mut c_void,
    size: ULONG,
) -> Answer {
    let buffer = Buffer {
        pointer: buffer,
        size: Some(size),
    };
    // SAFETY: what the C caller promises.
    let credential = unsafe { required::<Credential>(credential) }?;
    let provider = provider()?;
    is_there(provider, credential)?;
    // SAFETY: the structure of this attribute is what the C caller has there.
    let value = unsafe { credential_value::<T>(buffer, credential_attribute(attribute)?, size) }?;
    provider
        .table
        .set_credentials_attributes(credential, value)?;
    OK
}

/// # Safety
///
/// The buffer is NULL, not aligned, or the structure of the attribute is there, and `size` bytes.
unsafe fn credential_value<T: Text>(
    buffer: Buffer,
    attribute: CredentialAttribute,
    size: ULONG,
) -> Result<CredentialAttributeValue, Error> {
    use CredentialAttributeValue as V;
    // SAFETY: the contract.
    unsafe {
        Ok(match attribute {
            CredentialAttribute::Names => {
                let names = buffer.read::<c::SecPkgCredentials_NamesW>()?;
                V::Names {
                    user_name: required_text::<T>(names.sUserName.cast(), "sUserName")?,
                }
            }
            CredentialAttribute::KdcProxySettings => {
                let head = buffer.read::<c::SecPkgCredentials_KdcProxySettings>()?;
                let whole = bytes(buffer.pointer.cast(), size, "pBuffer")?;
                proxy::<T>(head, whole)?
            }
            CredentialAttribute::Cert => {
                let given = buffer.read::<c::SecPkgCredentials_Cert>()?;
                V::Cert(bytes(given.EncodedCert, given.EncodedCertSize, "EncodedCert")?.to_vec())
            }
            other => {
                return Err(Error::new(
                    SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
                    format!("the attribute {other:?} of a credential is not set from outside"),
                ));
            }
        })
    }
}

/// The proxy settings of this many bytes.
fn proxy<T: Text>(
    head: c::SecPkgCredentials_KdcProxySettings,
    whole: &[u8],
) -> Result<CredentialAttributeValue, Error> {
    if head.Version != c::KDC_PROXY_SETTINGS_V1 {
        return Err(parameter(format!(
            "the KDC proxy settings have version {}; KDC_PROXY_SETTINGS_V1 is {}",
            head.Version,
            c::KDC_PROXY_SETTINGS_V1
        )));
    }
    let part = |offset, length| {
        let (start, length) = (usize::from(offset), usize::from(length));
        if length == 0 {
            return Ok(&[][..]);
        }
        whole
            .get(start..start.saturating_add(length))
            .filter(|_| start >= size_of::<c::SecPkgCredentials_KdcProxySettings>())
            .ok_or_else(|| parameter("a part of the KDC proxy settings lies outside of them"))
    };
    let name = part(head.ProxyServerOffset, head.ProxyServerLength)?;
    // FreeRDP gives UTF-16 to the A function. A name of ASCII shows which it is.
    let is_wide =
        T::WIDE || name.iter().skip(1).step_by(2).any(|byte| *byte == 0) && name.len() > 2;
    let text = if is_wide {
        let (pairs, _) = name.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(u16::from_ne_bytes).collect();
        Wide::decode(&units)
    } else {
        let units: Vec<_> = name
            .iter()
            .map(|byte| c::SEC_CHAR::from_ne_bytes([*byte]))
            .collect();
        Narrow::decode(&units)
    };
    let text = text.ok_or_else(|| parameter("the name in the KDC proxy settings is no text"))?;
    Ok(CredentialAttributeValue::KdcProxySettings {
        // Some count the end.
        proxy_server: text.trim_end_matches('\0').to_owned(),
        flags: head.Flags,
        client_tls_credential: part(head.ClientTlsCredOffset, head.ClientTlsCredLength)?.to_vec(),
    })
}
