//! The DER types of Kerberos and the GSS framing
