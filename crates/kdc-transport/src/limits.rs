use std::time::Duration;

use trihound_krb5::Config;

/// The times that bound a round trip. RFC 4120 section 7.2 leaves them to the implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A silent server is joined by the next one after this.
    pub next_server_after: Duration,
    /// A datagram is sent again after this, then after twice this, and so on.
    pub retransmit_after: Duration,
    /// How often a datagram is sent to one server; `None` until the attempt's time is up.
    pub sends: Option<u32>,
    /// How long a TCP connection may take to open.
    pub connect: Duration,
    /// How long one attempt with one server may take, all in all.
    pub attempt: Duration,
    /// How long the whole round trip may take, the search for servers included.
    pub total: Duration,
    /// How long a server that did not answer is asked last.
    pub remember_dead: Duration,
}

impl Limits {
    /// One second, as long as a KDC across the world needs.
    pub const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
    /// One second before a lost datagram is sent again.
    pub const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);
    /// Three seconds: one lost SYN and its repetition.
    pub const CONNECT: Duration = Duration::from_secs(3);
    /// Ten seconds with one server.
    pub const ATTEMPT: Duration = Duration::from_secs(10);
    /// Twenty seconds in all.
    pub const TOTAL: Duration = Duration::from_secs(20);
    /// One minute.
    pub const REMEMBER_DEAD: Duration = Duration::from_secs(60);

    /// The limits that the configuration asks for, the usual ones where it says nothing.
    ///
    /// * `request_timeout` is [`Self::total`].
    /// * `kdc_timeout` is [`Self::attempt`]. It shortens [`Self::next_server_after`] and never
    ///   lengthens it: files that are shared with Java have it in milliseconds, and nobody means to
    ///   wait for an hour before the second KDC is asked.
    /// * `max_retries` is [`Self::sends`].
    ///
    /// Zero stands for "not said" in each.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let said = |time: Option<Duration>| time.filter(|time| !time.is_zero());
        let mut limits = Self::default();
        if let Some(total) = said(config.request_timeout) {
            limits.total = total;
        }
        if let Some(attempt) = said(config.kdc_timeout) {
            limits.attempt = attempt;
            limits.connect = limits.connect.min(attempt);
            limits.next_server_after = limits.next_server_after.min(attempt);
            limits.retransmit_after = limits.retransmit_after.min(attempt);
        }
        limits.sends = config.max_retries.filter(|&sends| sends > 0);
        limits
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            next_server_after: Self::NEXT_SERVER_AFTER,
            retransmit_after: Self::RETRANSMIT_AFTER,
            sends: None,
            connect: Self::CONNECT,
            attempt: Self::ATTEMPT,
            total: Self::TOTAL,
            remember_dead: Self::REMEMBER_DEAD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_sets_the_limits() {
        let mut config = Config::default();
        assert_eq!(Limits::from_config(&config), Limits::default());
        config.request_timeout = Some(Duration::from_secs(5));
        config.kdc_timeout = Some(Duration::from_millis(500));
        config.max_retries = Some(2);
        let limits = Limits::from_config(&config);
        assert_eq!(limits.total, Duration::from_secs(5));
        for time in [
            limits.attempt,
            limits.next_server_after,
            limits.retransmit_after,
            limits.connect,
        ] {
            assert_eq!(time, Duration::from_millis(500));
        }
        assert_eq!(limits.sends, Some(2));
    }

    #[test]
    fn a_timeout_in_javas_milliseconds_delays_nothing() {
        let mut config = Config::default();
        config.kdc_timeout = Some(Duration::from_secs(3000));
        let limits = Limits::from_config(&config);
        assert_eq!(limits.next_server_after, Limits::NEXT_SERVER_AFTER);
        assert_eq!(limits.total, Limits::TOTAL);
    }

    #[test]
    fn zero_says_nothing() {
        let mut config = Config::default();
        config.request_timeout = Some(Duration::ZERO);
        config.kdc_timeout = Some(Duration::ZERO);
        config.max_retries = Some(0);
        assert_eq!(Limits::from_config(&config), Limits::default());
    }
}
