use bitflags::bitflags;

bitflags! {
    /// What the initiator asks for: the `ISC_REQ_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct InitiatorRequirements: u32 {
        /// The server may act as the client towards other servers.
        const DELEGATE = 0x0000_0001;
        /// The server proves itself too.
        const MUTUAL_AUTH = 0x0000_0002;
        /// Replayed messages are noticed.
        const REPLAY_DETECT = 0x0000_0004;
        /// Messages out of order are noticed.
        const SEQUENCE_DETECT = 0x0000_0008;
        /// Messages can be encrypted.
        const CONFIDENTIALITY = 0x0000_0010;
        /// A new session key is wanted.
        const USE_SESSION_KEY = 0x0000_0020;
        /// The package may ask the user for credentials.
        const PROMPT_FOR_CREDS = 0x0000_0040;
        /// The credentials are in the input buffers.
        const USE_SUPPLIED_CREDS = 0x0000_0080;
        /// The package allocates the output token.
        const ALLOCATE_MEMORY = 0x0000_0100;
        /// Three legs, as DCE RPC has them.
        const USE_DCE_STYLE = 0x0000_0200;
        /// A connectionless context.
        const DATAGRAM = 0x0000_0400;
        /// A connection-oriented context.
        const CONNECTION = 0x0000_0800;
        /// Call-level semantics.
        const CALL_LEVEL = 0x0000_1000;
        /// The input is a fragment of a token.
        const FRAGMENT_SUPPLIED = 0x0000_2000;
        /// A failure is told to the peer by a token.
        const EXTENDED_ERROR = 0x0000_4000;
        /// A stream-oriented context.
        const STREAM = 0x0000_8000;
        /// Messages can be signed.
        const INTEGRITY = 0x0001_0000;
        /// The server may learn who the client is, and no more.
        const IDENTIFY = 0x0002_0000;
        /// No credentials at all.
        const NULL_SESSION = 0x0004_0000;
        /// The caller validates the peer's certificate.
        const MANUAL_CRED_VALIDATION = 0x0008_0000;
        /// Reserved by sspi.h.
        const RESERVED1 = 0x0010_0000;
        /// Output tokens are cut to fit the buffer.
        const FRAGMENT_TO_FIT = 0x0020_0000;
        /// The credentials themselves go to the server.
        const FORWARD_CREDENTIALS = 0x0040_0000;
        /// Integrity is not wanted; Negotiate then leaves its own check out.
        const NO_INTEGRITY = 0x0080_0000;
        /// HTTP-style negotiation.
        const USE_HTTP_STYLE = 0x0100_0000;
        /// The target name comes from a source that nobody verified.
        const UNVERIFIED_TARGET_NAME = 0x2000_0000;
        /// Encryption without integrity.
        const CONFIDENTIALITY_ONLY = 0x4000_0000;
        const _ = !0;
    }

    /// What the initiator got: the `ISC_RET_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct InitiatorAttributes: u32 {
        /// The server may act as the client towards other servers.
        const DELEGATE = 0x0000_0001;
        /// The server proved itself.
        const MUTUAL_AUTH = 0x0000_0002;
        /// Replayed messages are noticed.
        const REPLAY_DETECT = 0x0000_0004;
        /// Messages out of order are noticed.
        const SEQUENCE_DETECT = 0x0000_0008;
        /// Messages can be encrypted.
        const CONFIDENTIALITY = 0x0000_0010;
        /// A new session key is used.
        const USE_SESSION_KEY = 0x0000_0020;
        /// The package asked the user for credentials.
        const USED_COLLECTED_CREDS = 0x0000_0040;
        /// The credentials came in the input buffers.
        const USED_SUPPLIED_CREDS = 0x0000_0080;
        /// The package allocated the output token.
        const ALLOCATED_MEMORY = 0x0000_0100;
        /// Three legs, as DCE RPC has them.
        const USED_DCE_STYLE = 0x0000_0200;
        /// A connectionless context.
        const DATAGRAM = 0x0000_0400;
        /// A connection-oriented context.
        const CONNECTION = 0x0000_0800;
        /// Not the last word: the call has to be repeated.
        const INTERMEDIATE_RETURN = 0x0000_1000;
        /// Call-level semantics.
        const CALL_LEVEL = 0x0000_2000;
        /// A failure is told to the peer by a token.
        const EXTENDED_ERROR = 0x0000_4000;
        /// A stream-oriented context.
        const STREAM = 0x0000_8000;
        /// Messages can be signed.
        const INTEGRITY = 0x0001_0000;
        /// The server may learn who the client is, and no more.
        const IDENTIFY = 0x0002_0000;
        /// No credentials were used.
        const NULL_SESSION = 0x0004_0000;
        /// The caller validates the peer's certificate.
        const MANUAL_CRED_VALIDATION = 0x0008_0000;
        /// Reserved by sspi.h.
        const RESERVED1 = 0x0010_0000;
        /// The output is a fragment of a token.
        const FRAGMENT_ONLY = 0x0020_0000;
        /// The credentials themselves went to the server.
        const FORWARD_CREDENTIALS = 0x0040_0000;
        /// HTTP-style negotiation was used.
        const USED_HTTP_STYLE = 0x0100_0000;
        /// The peer needs no more token.
        const NO_ADDITIONAL_TOKEN = 0x0200_0000;
        /// An existing context was authenticated again.
        const REAUTHENTICATION = 0x0800_0000;
        /// Encryption without integrity.
        const CONFIDENTIALITY_ONLY = 0x4000_0000;
        const _ = !0;
    }

    /// What the acceptor asks for: the `ASC_REQ_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AcceptorRequirements: u32 {
        /// An acceptor's wish for delegation; never honoured.
        const DELEGATE = 0x0000_0001;
        /// The server proves itself too; only the initiator's wish counts.
        const MUTUAL_AUTH = 0x0000_0002;
        /// Replayed messages are noticed.
        const REPLAY_DETECT = 0x0000_0004;
        /// Messages out of order are noticed.
        const SEQUENCE_DETECT = 0x0000_0008;
        /// Messages can be encrypted.
        const CONFIDENTIALITY = 0x0000_0010;
        /// A new session key is wanted.
        const USE_SESSION_KEY = 0x0000_0020;
        /// A session ticket is wanted.
        const SESSION_TICKET = 0x0000_0040;
        /// The package allocates the output token.
        const ALLOCATE_MEMORY = 0x0000_0100;
        /// Three legs, as DCE RPC has them.
        const USE_DCE_STYLE = 0x0000_0200;
        /// A connectionless context.
        const DATAGRAM = 0x0000_0400;
        /// A connection-oriented context.
        const CONNECTION = 0x0000_0800;
        /// Call-level semantics.
        const CALL_LEVEL = 0x0000_1000;
        /// The input is a fragment of a token.
        const FRAGMENT_SUPPLIED = 0x0000_2000;
        /// A failure is told to the peer by a token.
        const EXTENDED_ERROR = 0x0000_8000;
        /// A stream-oriented context.
        const STREAM = 0x0001_0000;
        /// Messages can be signed.
        const INTEGRITY = 0x0002_0000;
        /// A licensing service.
        const LICENSING = 0x0004_0000;
        /// The client may be identified and no more; only the initiator's wish counts.
        const IDENTIFY = 0x0008_0000;
        /// A client without credentials is let in.
        const ALLOW_NULL_SESSION = 0x0010_0000;
        /// A client that is not a user is let in.
        const ALLOW_NON_USER_LOGONS = 0x0020_0000;
        /// A context may be replayed.
        const ALLOW_CONTEXT_REPLAY = 0x0040_0000;
        /// Output tokens are cut to fit the buffer.
        const FRAGMENT_TO_FIT = 0x0080_0000;
        /// No token is wanted.
        const NO_TOKEN = 0x0100_0000;
        /// The channel ends in a proxy: bindings are required and not compared.
        const PROXY_BINDINGS = 0x0400_0000;
        /// A client that sends no channel bindings is let in.
        const ALLOW_MISSING_BINDINGS = 0x1000_0000;
        const _ = !0;
    }

    /// What the acceptor got: the `ASC_RET_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AcceptorAttributes: u32 {
        /// The client may be acted for towards other servers.
        const DELEGATE = 0x0000_0001;
        /// This server proved itself.
        const MUTUAL_AUTH = 0x0000_0002;
        /// Replayed messages are noticed.
        const REPLAY_DETECT = 0x0000_0004;
        /// Messages out of order are noticed.
        const SEQUENCE_DETECT = 0x0000_0008;
        /// Messages can be encrypted.
        const CONFIDENTIALITY = 0x0000_0010;
        /// A new session key is used.
        const USE_SESSION_KEY = 0x0000_0020;
        /// A session ticket is used.
        const SESSION_TICKET = 0x0000_0040;
        /// The package allocated the output token.
        const ALLOCATED_MEMORY = 0x0000_0100;
        /// Three legs, as DCE RPC has them.
        const USED_DCE_STYLE = 0x0000_0200;
        /// A connectionless context.
        const DATAGRAM = 0x0000_0400;
        /// A connection-oriented context.
        const CONNECTION = 0x0000_0800;
        /// Call-level semantics.
        const CALL_LEVEL = 0x0000_2000;
        /// The third leg of DCE style failed.
        const THIRD_LEG_FAILED = 0x0000_4000;
        /// A failure is told to the peer by a token.
        const EXTENDED_ERROR = 0x0000_8000;
        /// A stream-oriented context.
        const STREAM = 0x0001_0000;
        /// Messages can be signed.
        const INTEGRITY = 0x0002_0000;
        /// A licensing service.
        const LICENSING = 0x0004_0000;
        /// The client may be identified and no more.
        const IDENTIFY = 0x0008_0000;
        /// The client used no credentials.
        const NULL_SESSION = 0x0010_0000;
        /// The client may be something else than a user.
        const ALLOW_NON_USER_LOGONS = 0x0020_0000;
        /// A context may be replayed.
        const ALLOW_CONTEXT_REPLAY = 0x0040_0000;
        /// The output is a fragment of a token.
        const FRAGMENT_ONLY = 0x0080_0000;
        /// There is no token.
        const NO_TOKEN = 0x0100_0000;
        /// The peer needs no more token.
        const NO_ADDITIONAL_TOKEN = 0x0200_0000;
        /// Channel bindings were required and no proxy's were there.
        const NO_PROXY_BINDINGS = 0x0400_0000;
        /// The client sent no channel bindings.
        const MISSING_BINDINGS = 0x1000_0000;
        const _ = !0;
    }

    /// What a package can do: the `SECPKG_FLAG_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SecPkgCapabilities: u32 {
        /// MakeSignature and VerifySignature work.
        const INTEGRITY = 0x0000_0001;
        /// EncryptMessage and DecryptMessage work.
        const PRIVACY = 0x0000_0002;
        /// Only the token part of the security trailer is of interest.
        const TOKEN_ONLY = 0x0000_0004;
        /// Datagram contexts work.
        const DATAGRAM = 0x0000_0008;
        /// Connection-oriented contexts work.
        const CONNECTION = 0x0000_0010;
        /// Several legs are needed.
        const MULTI_REQUIRED = 0x0000_0020;
        /// Only the client's side is there.
        const CLIENT_ONLY = 0x0000_0040;
        /// A failure can be told to the peer by a token.
        const EXTENDED_ERROR = 0x0000_0080;
        /// The server can impersonate the client.
        const IMPERSONATION = 0x0000_0100;
        /// A target may be named by a Windows account name.
        const ACCEPT_WIN32_NAME = 0x0000_0200;
        /// Stream semantics work.
        const STREAM = 0x0000_0400;
        /// Negotiate may choose the package.
        const NEGOTIABLE = 0x0000_0800;
        /// Tokens are those of GSS-API.
        const GSS_COMPATIBLE = 0x0000_1000;
        /// The package can log on.
        const LOGON = 0x0000_2000;
        /// Buffers are in ASCII.
        const ASCII_BUFFERS = 0x0000_4000;
        /// Tokens can be cut into fragments.
        const FRAGMENT = 0x0000_8000;
        /// The server can prove itself.
        const MUTUAL_AUTH = 0x0001_0000;
        /// The server can act for the client towards other servers.
        const DELEGATION = 0x0002_0000;
        /// A READONLY_WITH_CHECKSUM buffer is signed and not encrypted.
        const READONLY_WITH_CHECKSUM = 0x0004_0000;
        /// Restricted tokens work.
        const RESTRICTED_TOKENS = 0x0008_0000;
        /// The package extends Negotiate.
        const NEGO_EXTENDER = 0x0010_0000;
        /// The package is negotiated by NegoEx.
        const NEGOTIABLE2 = 0x0020_0000;
        /// An app container may pass through.
        const APPCONTAINER_PASSTHROUGH = 0x0040_0000;
        /// App containers are checked.
        const APPCONTAINER_CHECKS = 0x0080_0000;
        /// Credential isolation is on.
        const CREDENTIAL_ISOLATION_ENABLED = 0x0100_0000;
        /// Loopback is applied.
        const APPLY_LOOPBACK = 0x0200_0000;
        const _ = !0;
    }

    /// `fFlags` of ExportSecurityContext: the `SECPKG_CONTEXT_EXPORT_` flags of sspi.h.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ExportFlags: u32 {
        /// The exported context starts its sequence numbers anew.
        const RESET_NEW = 0x0000_0001;
        /// The context is deleted by the export.
        const DELETE_OLD = 0x0000_0002;
        /// The context goes to the kernel.
        const TO_KERNEL = 0x0000_0004;
        const _ = !0;
    }
}
