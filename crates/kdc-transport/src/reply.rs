use trihound_sansio::Service;

/// Application tags, constructed (RFC 4120 section 5.10).
const AS_REQ: u8 = 0x6a;
const AS_REP: u8 = 0x6b;
const TGS_REQ: u8 = 0x6c;
const TGS_REP: u8 = 0x6d;
const KRB_ERROR: u8 = 0x7e;

/// The protocol version of a kpasswd reply (RFC 3244 section 2).
const KPASSWD_REPLY_VERSION: [u8; 2] = [0, 1];
/// Length, version and AP-REP length of a kpasswd reply (RFC 3244 section 2).
const KPASSWD_HEADER_LENGTH: usize = 6;

/// Whether `reply` is of a type that answers `request`, and framed to its end.
pub(crate) fn answers(service: Service, request: &[u8], reply: &[u8]) -> bool {
    match service {
        Service::Kpasswd => is_kpasswd_reply(reply) || is_framed(reply, KRB_ERROR),
        _ => match request.first() {
            Some(&AS_REQ) => is_framed(reply, AS_REP) || is_framed(reply, KRB_ERROR),
            Some(&TGS_REQ) => is_framed(reply, TGS_REP) || is_framed(reply, KRB_ERROR),
            _ => [AS_REP, TGS_REP, KRB_ERROR]
                .into_iter()
                .any(|tag| is_framed(reply, tag)),
        },
    }
}

fn is_kpasswd_reply(reply: &[u8]) -> bool {
    let Some((&[high, low], rest)) = reply.split_first_chunk::<2>() else {
        return false;
    };
    usize::from(u16::from_be_bytes([high, low])) == reply.len()
        && reply.len() >= KPASSWD_HEADER_LENGTH
        && rest.starts_with(&KPASSWD_REPLY_VERSION)
}

/// Whether `bytes` is one DER value of this tag whose length is all that is left.
fn is_framed(bytes: &[u8], tag: u8) -> bool {
    let Some((&first, rest)) = bytes.split_first() else {
        return false;
    };
    first == tag && contents(rest).is_some()
}

/// The contents behind a DER length (X.690 section 8.1.3), if nothing follows them.
fn contents(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        let length = digits
            .iter()
            .fold(0u64, |value, &digit| value << 8 | u64::from(digit));
        (usize::try_from(length).ok()?, rest)
    };
    (rest.len() == length).then_some(rest)
}

/// Whether a reply is a KRB-ERROR with KDC_ERR_SVC_UNAVAILABLE: this server cannot serve, another
/// one may.
pub(crate) fn is_unavailable(reply: &[u8]) -> bool {
    use trihound_asn1::{KrbError, Message, error_code};
    reply.first() == Some(&KRB_ERROR)
        && KrbError::from_der(reply)
            .is_ok_and(|error| error.error_code == error_code::KDC_ERR_SVC_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Conformance row 184: a reply is matched to its request by type.
    #[test]
    fn only_the_type_that_was_asked_for_answers() {
        let framed = |tag: u8| vec![tag, 2, 0x30, 0];
        let as_req = [AS_REQ, 0];
        let tgs_req = [TGS_REQ, 0];
        assert!(answers(Service::Kdc, &as_req, &framed(AS_REP)));
        assert!(answers(Service::Kdc, &as_req, &framed(KRB_ERROR)));
        assert!(!answers(Service::Kdc, &as_req, &framed(TGS_REP)));
        assert!(answers(Service::Kdc, &tgs_req, &framed(TGS_REP)));
        assert!(!answers(Service::Kdc, &tgs_req, &framed(AS_REP)));
        assert!(!answers(Service::Kdc, &as_req, &framed(AS_REQ)));
        assert!(!answers(Service::Kdc, &as_req, b""));
    }

    #[test]
    fn a_reply_must_be_framed_to_its_end() {
        let request = [AS_REQ, 0];
        for bad in [
            &[AS_REP][..],
            &[AS_REP, 1],
            &[AS_REP, 1, 0, 0],
            &[AS_REP, 0x80],
            &[AS_REP, 0x81],
            &[AS_REP, 0x82, 1],
            &[AS_REP, 0x85, 0, 0, 0, 0, 0],
            &[AS_REP, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(!answers(Service::Kdc, &request, bad), "{bad:02x?}");
        }
        assert!(answers(Service::Kdc, &request, &[AS_REP, 0x81, 1, 9]));
    }

    #[test]
    fn a_password_change_reply_has_its_own_frame() {
        assert!(answers(Service::Kpasswd, &[], &[0, 6, 0, 1, 0, 0]));
        assert!(answers(Service::Kpasswd, &[], &[KRB_ERROR, 0]));
        assert!(!answers(Service::Kpasswd, &[], &[0, 7, 0, 1, 0, 0]));
        assert!(!answers(Service::Kpasswd, &[], &[0, 6, 0, 2, 0, 0]));
        assert!(!answers(Service::Kpasswd, &[], &[0, 4, 0, 1]));
        assert!(!answers(Service::Kpasswd, &[], &[AS_REP, 0]));
    }
}
