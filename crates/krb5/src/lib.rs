//! Kerberos itself: exchanges, keytab, ccache, krb5.conf, replay cache
