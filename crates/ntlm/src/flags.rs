use bitflags::bitflags;

bitflags! {
    /// NegotiateFlags of the three messages (MS-NLMP section 2.2.2.5), without the prefix `NTLMSSP_`.
    ///
    /// Bits without a name are kept as they came.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct NegotiateFlags: u32 {
        /// A: text is UTF-16LE.
        const NEGOTIATE_UNICODE = 0x0000_0001;
        /// B: text is in the OEM code page; [`Self::NEGOTIATE_UNICODE`] goes first.
        const NEGOTIATE_OEM = 0x0000_0002;
        /// C: the CHALLENGE message shall have a target name.
        const REQUEST_TARGET = 0x0000_0004;
        /// D: messages may be signed.
        const NEGOTIATE_SIGN = 0x0000_0010;
        /// E: messages may be sealed.
        const NEGOTIATE_SEAL = 0x0000_0020;
        /// F: connectionless; the messages carry their sequence numbers outside.
        const NEGOTIATE_DATAGRAM = 0x0000_0040;
        /// G: keys come from the LM response (NTLMv1 only).
        const NEGOTIATE_LM_KEY = 0x0000_0080;
        /// H: NTLM at all.
        const NEGOTIATE_NTLM = 0x0000_0200;
        /// J: the client is anonymous.
        const ANONYMOUS = 0x0000_0800;
        /// K: the NEGOTIATE message has a domain.
        const NEGOTIATE_OEM_DOMAIN_SUPPLIED = 0x0000_1000;
        /// L: the NEGOTIATE message has a workstation.
        const NEGOTIATE_OEM_WORKSTATION_SUPPLIED = 0x0000_2000;
        /// M: a signature on every message, a dummy one if need be, which is no integrity.
        const NEGOTIATE_ALWAYS_SIGN = 0x0000_8000;
        /// N: the target name is a domain's.
        const TARGET_TYPE_DOMAIN = 0x0001_0000;
        /// O: the target name is a server's.
        const TARGET_TYPE_SERVER = 0x0002_0000;
        /// P: keys and signatures of section 3.4 with HMAC-MD5; without it they are CRC-32.
        const NEGOTIATE_EXTENDED_SESSIONSECURITY = 0x0008_0000;
        /// Q: the server may identify the client and nothing more.
        const NEGOTIATE_IDENTIFY = 0x0010_0000;
        /// R: keys come from the LM hash (NTLMv1 only).
        const REQUEST_NON_NT_SESSION_KEY = 0x0040_0000;
        /// S: the CHALLENGE message has target information.
        const NEGOTIATE_TARGET_INFO = 0x0080_0000;
        /// T: the messages have a version.
        const NEGOTIATE_VERSION = 0x0200_0000;
        /// U: keys of 128 bits.
        const NEGOTIATE_128 = 0x2000_0000;
        /// V: the client chooses the session key and sends it encrypted.
        const NEGOTIATE_KEY_EXCH = 0x4000_0000;
        /// W: keys of 56 bits.
        const NEGOTIATE_56 = 0x8000_0000;

        const _ = !0;
    }
}
