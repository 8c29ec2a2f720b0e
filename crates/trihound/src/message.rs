use std::sync::Arc;

use trihound_sspi::{
    AcceptorAttributes, AccessToken, BufferType, ContextAttribute, ContextAttributeValue,
    ContextRef, CtxtHandle, Error, Established, EstablishedAttributes, ExportFlags, Impersonation,
    InitiatorAttributes, OwnedCtxtHandle, SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc,
    SecPkgContextSizes, SecPkgContextStreamSizes, SecurityFunctionTable, SecurityStatus,
};

/// An established context whose messages are plain byte strings.
///
/// Each protected message is one string: header, data and trailer in a row, which is what
/// `gss_wrap` makes and `gss_unwrap` takes. A program that wants to spare the copies uses buffers and
/// the function table ([`Self::context`]).
///
/// ```
/// use trihound::SecurityContext;
/// use trihound::sspi::{ContextAttribute, ContextAttributeValue, Error, SecBuffer, SecBufferDesc};
///
/// /// EncryptMessage over two pieces of data, in place; gives back the token that goes with them.
/// fn seal(context: &SecurityContext, head: &mut [u8], body: &mut [u8]) -> Result<Vec<u8>, Error> {
///     let mut token = match context.query(ContextAttribute::Sizes)? {
///         ContextAttributeValue::Sizes(sizes) => vec![0; sizes.security_trailer as usize],
///         _ => Vec::new(),
///     };
///     let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(head), SecBuffer::data(body)];
///     context.context().encrypt_message(0, &mut SecBufferDesc::new(&mut buffers), 0)?;
///     let used = buffers[0].len();
///     token.truncate(used);
///     Ok(token)
/// }
///
/// /// DecryptMessage of the same pieces, in place.
/// fn open(context: &SecurityContext, token: &mut [u8], head: &mut [u8], body: &mut [u8]) -> Result<(), Error> {
///     let mut buffers = [SecBuffer::token(token), SecBuffer::data(head), SecBuffer::data(body)];
///     context.context().decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct SecurityContext {
    table: SecurityFunctionTable,
    handle: OwnedCtxtHandle,
    context: ContextRef,
    established: Established,
    sizes: SecPkgContextSizes,
    stream_sizes: SecPkgContextStreamSizes,
}

/// What a protected message said.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The message.
    pub data: Vec<u8>,
    /// Whether it was encrypted, not just signed.
    pub encrypted: bool,
}

impl SecurityContext {
    pub(crate) fn new(
        table: &SecurityFunctionTable,
        handle: OwnedCtxtHandle,
        established: Established,
    ) -> Result<Self, Error> {
        let context = table.context(handle.handle())?;
        let sizes = match context.query_context_attributes(ContextAttribute::Sizes)? {
            ContextAttributeValue::Sizes(sizes) => sizes,
            other => return Err(other_answer(&other)),
        };
        let stream_sizes = match context.query_context_attributes(ContextAttribute::StreamSizes)? {
            ContextAttributeValue::StreamSizes(sizes) => sizes,
            other => return Err(other_answer(&other)),
        };
        Ok(Self {
            table: table.clone(),
            handle,
            context,
            established,
            sizes,
            stream_sizes,
        })
    }

    /// ExportSecurityContext: the context sealed, for [`Self::import`] by a process that has the same
    /// [`crate::ContextKeys`]. The peer notices nothing.
    ///
    /// With [`ExportFlags::DELETE_OLD`], and of NTLM and RC4 always, the context ends here: every later call
    /// answers SEC_E_INVALID_HANDLE. A sealed context is imported once: `docs/manual/export.md` says why.
    ///
    /// # Errors
    ///
    /// Those of [`SecurityFunctionTable::export_security_context`]; the context is as it was then.
    pub fn export(&self, flags: ExportFlags) -> Result<Vec<u8>, Error> {
        self.table.export_security_context(self.handle(), flags)
    }

    /// ImportSecurityContext: what [`Self::export`] gave, for the same package: that of the function table, so that
    /// what Negotiate made is Negotiate's.
    ///
    /// # Errors
    ///
    /// Those of [`SecurityFunctionTable::import_security_context`].
    pub fn import(
        table: &SecurityFunctionTable,
        package: &str,
        sealed: &[u8],
    ) -> Result<Self, Error> {
        let context = table.import_security_context(package, sealed)?;
        let owned = table.own_context(context)?;
        let established = table.context(context)?.established()?;
        Self::new(table, owned, established)
    }

    /// The handle, for the function table.
    #[must_use]
    pub fn handle(&self) -> CtxtHandle {
        self.handle.handle()
    }

    /// The context resolved, for calls with buffers.
    #[must_use]
    pub fn context(&self) -> &ContextRef {
        &self.context
    }

    /// What was negotiated: look at the attributes before trusting the context with anything.
    #[must_use]
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// QueryContextAttributes.
    ///
    /// # Errors
    ///
    /// Those of the package.
    pub fn query(&self, attribute: ContextAttribute) -> Result<ContextAttributeValue, Error> {
        self.context.query_context_attributes(attribute)
    }

    /// The name of the package that speaks in the context, such as `Kerberos` or `NTLM`: behind Negotiate
    /// the one that was chosen.
    ///
    /// # Errors
    ///
    /// Those of the package.
    pub fn mechanism(&self) -> Result<String, Error> {
        match self.query(ContextAttribute::NegotiationInfo)? {
            ContextAttributeValue::NegotiationInfo(info) => Ok(info.package.name.into_owned()),
            other => Err(other_answer(&other)),
        }
    }

    /// Whether the service may act for the client towards other services (DELEGATE): it has a ticket of the
    /// client, in its [`Self::access_token`].
    #[must_use]
    pub fn is_delegated(&self) -> bool {
        match self.established.attributes {
            EstablishedAttributes::Initiator(got) => got.contains(InitiatorAttributes::DELEGATE),
            EstablishedAttributes::Acceptor(got) => got.contains(AcceptorAttributes::DELEGATE),
        }
    }

    /// QuerySecurityContextToken: who the client is, and what may be done in its name. It outlives the context and
    /// goes to any thread.
    ///
    /// # Errors
    ///
    /// Those of the package: an initiator's context has none.
    pub fn access_token(&self) -> Result<Arc<AccessToken>, Error> {
        self.context.query_security_context_token()
    }

    /// ImpersonateSecurityContext: the calling thread acts for the client until the value is dropped.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION for a client that allows no more than identification; those of the package and of the
    /// accounts of this machine.
    pub fn impersonate(&self) -> Result<Impersonation, Error> {
        self.context.impersonate()
    }

    /// Encrypts and signs.
    ///
    /// # Errors
    ///
    /// Those of EncryptMessage: no confidentiality was negotiated, the context has expired.
    pub fn encrypt(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.protect_whole(data, 0)
    }

    /// Signs a message that stays readable, both in one string.
    ///
    /// # Errors
    ///
    /// Those of EncryptMessage: no integrity was negotiated, the context has expired.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.protect_whole(data, SECQOP_WRAP_NO_ENCRYPT)
    }

    /// One EncryptMessage in one piece: header, data and trailer, whatever the context's style.
    fn protect_whole(&self, data: &[u8], quality_of_protection: u32) -> Result<Vec<u8>, Error> {
        let mut message = Vec::new();
        self.append_protected(data, quality_of_protection, &mut message)?;
        Ok(message)
    }

    /// As [`Self::encrypt`] or [`Self::sign`], behind what `message` has already; nothing is
    /// allocated where that has room.
    pub(crate) fn append_protected(
        &self,
        data: &[u8],
        quality_of_protection: u32,
        message: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = message.len();
        let header_room = self.stream_sizes.header as usize;
        let trailer_room = self.stream_sizes.trailer as usize;
        message.resize(start.saturating_add(header_room), 0);
        message.extend_from_slice(data);
        let end = message.len();
        message.resize(end.saturating_add(trailer_room), 0);
        let (_, whole) = message.split_at_mut(start);
        let (header, rest) = whole.split_at_mut(header_room);
        let (data, trailer) = rest.split_at_mut(data.len());
        let mut buffers = [
            SecBuffer::new(BufferType::STREAM_HEADER, header),
            SecBuffer::data(data),
            SecBuffer::new(BufferType::STREAM_TRAILER, trailer),
        ];
        let sealed = self.context.encrypt_message(
            quality_of_protection,
            &mut SecBufferDesc::new(&mut buffers),
            0,
        );
        let [header_length, _, trailer_length] = buffers.each_ref().map(SecBuffer::len);
        if let Err(error) = sealed {
            if let Some(unsealed) = message.get_mut(start..) {
                trihound_secret::wipe(unsealed);
            }
            message.truncate(start);
            return Err(error);
        }
        message.truncate(end.saturating_add(trailer_length));
        // A header that is shorter than its room leaves a gap in front of the data.
        if header_length < header_room {
            let gap = start.saturating_add(header_length)..start.saturating_add(header_room);
            message.drain(gap);
        }
        Ok(())
    }

    /// One EncryptMessage whose token and data (with its padding) stay apart.
    ///
    /// # Errors
    ///
    /// Those of EncryptMessage.
    pub fn protect(
        &self,
        data: &[u8],
        quality_of_protection: u32,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let mut token = vec![0; self.sizes.security_trailer as usize];
        let mut data = data.to_vec();
        let mut padding = vec![0; self.sizes.block_size as usize];
        let mut buffers = [
            SecBuffer::token(&mut token),
            SecBuffer::data(&mut data),
            SecBuffer::padding(&mut padding),
        ];
        self.context.encrypt_message(
            quality_of_protection,
            &mut SecBufferDesc::new(&mut buffers),
            0,
        )?;
        let [token_length, _, padding_length] = buffers.each_ref().map(SecBuffer::len);
        token.truncate(token_length);
        padding.truncate(padding_length);
        data.extend_from_slice(&padding);
        Ok((token, data))
    }

    /// Verifies and, if it was encrypted, decrypts what [`Self::encrypt`], [`Self::sign`] or the
    /// peer's `gss_wrap` made.
    ///
    /// # Errors
    ///
    /// Those of DecryptMessage: the message was altered, replayed, or comes out of order.
    pub fn open(&self, message: &[u8]) -> Result<Opened, Error> {
        let mut message = message.to_vec();
        let mut data = Vec::new();
        let encrypted = self.open_in_place(&mut message, &mut data)?;
        Ok(Opened { data, encrypted })
    }

    /// As [`Self::open`], in the memory of `message`; `data` receives what it said. Whether it was
    /// encrypted.
    pub(crate) fn open_in_place(
        &self,
        message: &mut [u8],
        data: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        // A message that is refused leaves nothing that could be taken for what it said.
        data.clear();
        let mut buffers = [
            SecBuffer::stream(message),
            SecBuffer::empty(BufferType::DATA),
        ];
        let quality = self
            .context
            .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)?;
        let [_, found] = &buffers;
        data.extend_from_slice(found.bytes());
        Ok(quality != SECQOP_WRAP_NO_ENCRYPT)
    }

    /// As [`Self::open`], for a caller who takes nothing that others could have read.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`], and SEC_E_QOP_NOT_SUPPORTED for a message that was only signed
    /// (RFC 2743 section 2.3.4, `conf_state`).
    pub fn decrypt(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let opened = self.open(message)?;
        if !opened.encrypted {
            return Err(not_encrypted());
        }
        Ok(opened.data)
    }

    /// A signature of a message that travels beside it (MakeSignature, `gss_get_mic`).
    ///
    /// # Errors
    ///
    /// Those of MakeSignature.
    pub fn make_signature(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut token = vec![0; self.sizes.max_signature as usize];
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data_input(data)];
        self.context
            .make_signature(0, &mut SecBufferDesc::new(&mut buffers), 0)?;
        let length = buffers.first().map_or(0, SecBuffer::len);
        token.truncate(length);
        Ok(token)
    }

    /// Verifies a signature (VerifySignature, `gss_verify_mic`).
    ///
    /// # Errors
    ///
    /// Those of VerifySignature.
    pub fn verify_signature(&self, data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mut buffers = [
            SecBuffer::token_input(signature),
            SecBuffer::data_input(data),
        ];
        self.context
            .verify_signature(&mut SecBufferDesc::new(&mut buffers), 0)
            .map(|_| ())
    }
}

pub(crate) fn not_encrypted() -> Error {
    Error::new(
        SecurityStatus::SEC_E_QOP_NOT_SUPPORTED,
        "the message was signed and not encrypted; have the peer encrypt it, or take it with open()",
    )
}

pub(crate) fn other_answer(value: &ContextAttributeValue) -> Error {
    Error::new(
        SecurityStatus::SEC_E_INTERNAL_ERROR,
        format!(
            "asked for something else, the package answered {:?}",
            value.attribute()
        ),
    )
}
