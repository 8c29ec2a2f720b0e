//! QueryCredentialsAttributes and SetCredentialsAttributes.

use trihound_sspi::{CredentialAttribute, CredentialAttributeValue as Value};

use super::KerberosCredential;
use crate::error::{ContextError, CredentialError, Error};

fn none(attribute: CredentialAttribute) -> Error {
    ContextError::NoAttribute {
        attribute: format!("{attribute:?}"),
    }
    .into()
}

impl KerberosCredential {
    pub(crate) fn query(&self, attribute: CredentialAttribute) -> Result<Value, Error> {
        let default = self.outbounds().into_iter().next();
        match attribute {
            CredentialAttribute::Names => {
                let client = default.as_ref().map(|outbound| &outbound.client);
                let name = client.or_else(|| self.principal());
                let name = name.ok_or_else(|| none(attribute))?;
                Ok(Value::Names {
                    user_name: name.to_string(),
                })
            }
            CredentialAttribute::KdcProxySettings => {
                let outbound = default.ok_or_else(|| self.no_outbound())?;
                Ok(outbound.kdcs().proxy_settings())
            }
            other => Err(none(other)),
        }
    }

    pub(crate) fn set(&self, value: &Value) -> Result<(), Error> {
        let Value::KdcProxySettings {
            proxy_server,
            flags,
            client_tls_credential,
        } = value
        else {
            return Err(none(value.attribute()));
        };
        if !client_tls_credential.is_empty() {
            return Err(CredentialError::UnservedSetting {
                setting: "KdcProxySettings.ClientTlsCred",
                reason: "the caller's HTTPS function proves who the client is to a proxy",
            }
            .into());
        }
        let all = self.outbounds();
        if all.is_empty() {
            return Err(self.no_outbound().into());
        }
        for outbound in all {
            outbound.set_proxy(proxy_server, *flags)?;
        }
        Ok(())
    }
}
