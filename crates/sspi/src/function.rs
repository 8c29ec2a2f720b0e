use core::fmt;

use bitflags::bitflags;

macro_rules! functions {
    ($($name:ident, $flag:ident, $number:literal;)+) => {
        /// A function of SSPI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Function {
            $(#[doc = concat!("`", stringify!($name), "`.")] $name,)+
        }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The function's name in SSPI.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The set of this function alone.
            #[must_use]
            pub const fn set(self) -> FunctionSet {
                match self {
                    $(Self::$name => FunctionSet::$flag,)+
                }
            }
        }

        bitflags! {
            /// A set of SSPI functions: the slots of a function table that are not NULL.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct FunctionSet: u32 {
                $(
                    #[doc = concat!("`", stringify!($name), "`.")]
                    const $flag = 1 << $number;
                )+
            }
        }
    };
}

functions! {
    AcquireCredentialsHandle, ACQUIRE_CREDENTIALS_HANDLE, 0;
    FreeCredentialsHandle, FREE_CREDENTIALS_HANDLE, 1;
    QueryCredentialsAttributes, QUERY_CREDENTIALS_ATTRIBUTES, 2;
    SetCredentialsAttributes, SET_CREDENTIALS_ATTRIBUTES, 3;
    AddCredentials, ADD_CREDENTIALS, 4;
    InitializeSecurityContext, INITIALIZE_SECURITY_CONTEXT, 5;
    AcceptSecurityContext, ACCEPT_SECURITY_CONTEXT, 6;
    DeleteSecurityContext, DELETE_SECURITY_CONTEXT, 7;
    QueryContextAttributes, QUERY_CONTEXT_ATTRIBUTES, 8;
    SetContextAttributes, SET_CONTEXT_ATTRIBUTES, 9;
    QuerySecurityContextToken, QUERY_SECURITY_CONTEXT_TOKEN, 10;
    ApplyControlToken, APPLY_CONTROL_TOKEN, 11;
    CompleteAuthToken, COMPLETE_AUTH_TOKEN, 12;
    FreeContextBuffer, FREE_CONTEXT_BUFFER, 13;
    ImpersonateSecurityContext, IMPERSONATE_SECURITY_CONTEXT, 14;
    RevertSecurityContext, REVERT_SECURITY_CONTEXT, 15;
    ExportSecurityContext, EXPORT_SECURITY_CONTEXT, 16;
    ImportSecurityContext, IMPORT_SECURITY_CONTEXT, 17;
    MakeSignature, MAKE_SIGNATURE, 18;
    VerifySignature, VERIFY_SIGNATURE, 19;
    EncryptMessage, ENCRYPT_MESSAGE, 20;
    DecryptMessage, DECRYPT_MESSAGE, 21;
    InitSecurityInterface, INIT_SECURITY_INTERFACE, 22;
    EnumerateSecurityPackages, ENUMERATE_SECURITY_PACKAGES, 23;
    QuerySecurityPackageInfo, QUERY_SECURITY_PACKAGE_INFO, 24;
    AddSecurityPackage, ADD_SECURITY_PACKAGE, 25;
    ChangeAccountPassword, CHANGE_ACCOUNT_PASSWORD, 26;
}

impl FunctionSet {
    /// What the table answers by itself, whatever the packages offer.
    pub const TABLE: Self = Self::FREE_CREDENTIALS_HANDLE
        .union(Self::DELETE_SECURITY_CONTEXT)
        .union(Self::FREE_CONTEXT_BUFFER)
        .union(Self::INIT_SECURITY_INTERFACE)
        .union(Self::ENUMERATE_SECURITY_PACKAGES)
        .union(Self::QUERY_SECURITY_PACKAGE_INFO)
        .union(Self::ADD_SECURITY_PACKAGE);

    /// The functions that [`crate::SecurityPackage`] has no default for.
    pub const REQUIRED: Self = Self::ACQUIRE_CREDENTIALS_HANDLE
        .union(Self::INITIALIZE_SECURITY_CONTEXT)
        .union(Self::ACCEPT_SECURITY_CONTEXT)
        .union(Self::QUERY_CONTEXT_ATTRIBUTES)
        .union(Self::MAKE_SIGNATURE)
        .union(Self::VERIFY_SIGNATURE)
        .union(Self::ENCRYPT_MESSAGE)
        .union(Self::DECRYPT_MESSAGE);

    /// Whether `function` is in the set.
    #[must_use]
    pub const fn has(self, function: Function) -> bool {
        self.contains(function.set())
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_slot_of_its_own() {
        let mut seen = FunctionSet::empty();
        for function in Function::ALL {
            assert!(!seen.has(*function), "{function}");
            seen |= function.set();
        }
        assert_eq!(seen, FunctionSet::all());
        assert_eq!(Function::ALL.len(), 27);
    }
}
