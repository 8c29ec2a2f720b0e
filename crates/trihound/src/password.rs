//! Password changes (RFC 3244).

use core::fmt;
use std::sync::Arc;

use trihound_kdc_transport::KdcTransport;
use trihound_krb5::kpasswd::{ChangePasswordExchange, ChangePasswordRequest, PasswordChanged};
use trihound_krb5::{ClientSecret, Config, Environment};
use trihound_sansio::{Clock, DriveError, Exchange, RandomSource, SystemClock, Transport, drive};
use trihound_secret::SecretString;
use trihound_sspi::Error;

use crate::handshake::in_circles;
use crate::{OsRandom, configuration, environment, trace_if_asked};

/// Gives an account of Kerberos a new password, over the password service of its realm.
///
/// The old password may have expired. A password service refuses what its policy does not permit, and says why:
/// the text of the error has its words. [`PasswordChange`] has more to set.
///
/// ```no_run
/// # fn main() -> Result<(), trihound::sspi::Error> {
/// trihound::change_password("alice@EXAMPLE.COM", "Wonder-Land-7", "Looking-Glass-8")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// SEC_E_LOGON_DENIED for a wrong old password, ERROR_PASSWORD_RESTRICTION for a new one that is refused,
/// SEC_E_NO_AUTHENTICATING_AUTHORITY where nobody answered: whether the password was changed is then not known
/// once it was sent, and the text says so.
pub fn change_password(
    user: &str,
    old_password: impl Into<SecretString>,
    new_password: impl Into<SecretString>,
) -> Result<(), Error> {
    PasswordChange::new(user, old_password, new_password)
        .run()
        .map(drop)
}

/// A password change, with what a program may want to set about it.
pub struct PasswordChange {
    user: String,
    old_password: SecretString,
    new_password: SecretString,
    account: Option<String>,
    config: Option<Arc<Config>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordChange")
            .field("user", &self.user)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl PasswordChange {
    /// `user` (`alice`, `alice@REALM`, `REALM\alice`) has the old password, and is to have the new one.
    #[must_use]
    pub fn new(
        user: impl Into<String>,
        old_password: impl Into<SecretString>,
        new_password: impl Into<SecretString>,
    ) -> Self {
        Self {
            user: user.into(),
            old_password: old_password.into(),
            new_password: new_password.into(),
            account: None,
            config: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
        }
    }

    /// The new password is for this account instead of the user's own, which the realm's administrator has to
    /// permit.
    #[must_use]
    pub fn for_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Another configuration than krb5.conf.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.random = random;
        self
    }

    /// Changes it. The text is what the service says about it, if anything.
    ///
    /// # Errors
    ///
    /// Those of [`change_password`].
    pub fn run(self) -> Result<Option<String>, Error> {
        let (exchange, config) = self.prepare()?;
        finish(drive(exchange, KdcTransport::new(config)))
    }

    /// The same over a transport of the program's own.
    ///
    /// # Errors
    ///
    /// Those of [`change_password`].
    pub fn run_over(self, transport: impl Transport) -> Result<Option<String>, Error> {
        let (exchange, _) = self.prepare()?;
        finish(drive(exchange, transport))
    }

    /// The same on tokio. Dropping the future may leave the password changed or as it was.
    ///
    /// # Errors
    ///
    /// Those of [`change_password`].
    #[cfg(feature = "tokio")]
    pub async fn run_async(self) -> Result<Option<String>, Error> {
        // The configuration is in files.
        let (exchange, config) = crate::tokio::off_thread(|| self.prepare()).await??;
        let transport = trihound_kdc_transport::AsyncKdcTransport::new(config);
        finish(trihound_sansio::drive_async(exchange, transport).await)
    }

    fn prepare(self) -> Result<(ChangePasswordExchange, Arc<Config>), Error> {
        trace_if_asked();
        let config = match self.config {
            Some(config) => config,
            None => Arc::new(configuration()?),
        };
        let client = |name: &str| trihound_kerberos::client_principal(name, None, &config);
        let request = ChangePasswordRequest {
            client: client(&self.user)?,
            secret: ClientSecret::Password(self.old_password),
            new_password: self.new_password,
            target: self.account.as_deref().map(client).transpose()?,
        };
        let mut environment = Environment::new(self.clock, self.random, Arc::clone(&config));
        // A guess for a transport that does not know from where it asks.
        environment.addresses = environment::local_addresses().unwrap_or_default().into();
        let exchange = ChangePasswordExchange::begin(request, &environment).map_err(of_kerberos)?;
        Ok((exchange, config))
    }
}

fn finish(
    outcome: Result<PasswordChanged, DriveError<<ChangePasswordExchange as Exchange>::Error>>,
) -> Result<Option<String>, Error> {
    match outcome {
        Ok(changed) => Ok(changed.text),
        Err(DriveError::Protocol(error)) => Err(of_kerberos(error)),
        Err(_) => Err(in_circles()),
    }
}

fn of_kerberos(error: trihound_krb5::Error) -> Error {
    trihound_kerberos::Error::from(error).into()
}
