use super::{FileTime, MessageError};
use crate::TargetInfo;

/// RespType to Reserved3 of NTLMv2_CLIENT_CHALLENGE (MS-NLMP section 2.2.2.7).
const TEMP_HEADER: usize = 28;
const TIMESTAMP: usize = 8;
const CLIENT_CHALLENGE: usize = 16;
/// The only version of NTLMv2_CLIENT_CHALLENGE, RespType and HiRespType.
const RESPONSE_VERSION: u8 = 1;
/// Length of LM_RESPONSE and NTLM_RESPONSE (MS-NLMP sections 2.2.2.3 and 2.2.2.6).
const V1_LENGTH: usize = 24;

/// What NtChallengeResponse of an AUTHENTICATE message is, which its length alone says (MS-NLMP section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NtResponse<'a> {
    /// No response: an anonymous client, or one with an LM response only.
    Absent,
    /// NTLM_RESPONSE, 24 bytes (MS-NLMP section 2.2.2.6); of NTLMv1 and of no use without `danger`.
    V1([u8; V1_LENGTH]),
    /// NTLMv2_RESPONSE.
    V2(NtlmV2Response<'a>),
}

impl<'a> NtResponse<'a> {
    /// Takes a response apart.
    ///
    /// # Errors
    /// What [`NtlmV2Response::parse`] gives.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        if bytes.is_empty() {
            return Ok(Self::Absent);
        }
        if let Ok(response) = bytes.try_into() {
            return Ok(Self::V1(response));
        }
        NtlmV2Response::parse(bytes).map(Self::V2)
    }
}

/// NTLMv2_RESPONSE with its NTLMv2_CLIENT_CHALLENGE (MS-NLMP sections 2.2.2.8 and 2.2.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtlmV2Response<'a> {
    /// NTProofStr.
    pub proof: [u8; 16],
    /// NTLMv2_CLIENT_CHALLENGE as it came, to the end of the response: what the proof is over.
    pub temp: &'a [u8],
    /// TimeStamp.
    pub timestamp: FileTime,
    /// ChallengeFromClient.
    pub client_challenge: [u8; 8],
    /// AvPairs; the proof is over them, while nothing is over those in the CHALLENGE message (conformance row 33).
    pub av_pairs: TargetInfo<'a>,
}

impl<'a> NtlmV2Response<'a> {
    /// Takes a response apart.
    ///
    /// What follows MsvAvEOL is not looked at: peers add four zero bytes (conformance row 142), none or more. Nor are
    /// the reserved fields, which the proof covers like everything else.
    ///
    /// # Errors
    /// [`MessageError::ResponseTooShort`], [`MessageError::ResponseVersion`], and what [`TargetInfo::parse`] gives.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let too_short = || MessageError::ResponseTooShort {
            needed: 16 + TEMP_HEADER,
            found: bytes.len(),
        };
        let (proof, temp) = bytes.split_first_chunk().ok_or_else(too_short)?;
        let (header, av_pairs) = temp
            .split_first_chunk::<TEMP_HEADER>()
            .ok_or_else(too_short)?;
        let [current, highest, ..] = *header;
        // MS-NLMP section 2.2.2.7: both must be 1.
        if (current, highest) != (RESPONSE_VERSION, RESPONSE_VERSION) {
            return Err(MessageError::ResponseVersion { current, highest });
        }
        let eight = |at: usize| {
            header
                .get(at..)
                .and_then(<[u8]>::first_chunk)
                .copied()
                .ok_or_else(too_short)
        };
        Ok(Self {
            proof: *proof,
            temp,
            timestamp: FileTime::from_bytes(eight(TIMESTAMP)?),
            client_challenge: eight(CLIENT_CHALLENGE)?,
            av_pairs: TargetInfo::parse(av_pairs)?,
        })
    }

    /// The response as it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.proof, self.temp].concat()
    }
}

/// `temp` of the proof: an NTLMv2_CLIENT_CHALLENGE with the four zero bytes at its end
/// (MS-NLMP sections 2.2.2.7 and 3.3.2; conformance row 142).
///
/// `av_pairs` is a list with its MsvAvEOL, as [`crate::TargetInfoBuilder::finish`] gives it.
#[must_use]
pub fn ntlmv2_temp(timestamp: FileTime, client_challenge: &[u8; 8], av_pairs: &[u8]) -> Vec<u8> {
    let mut temp = Vec::with_capacity(TEMP_HEADER + av_pairs.len() + 4);
    temp.extend_from_slice(&[RESPONSE_VERSION, RESPONSE_VERSION, 0, 0, 0, 0, 0, 0]);
    temp.extend_from_slice(&timestamp.to_bytes());
    temp.extend_from_slice(client_challenge);
    temp.extend_from_slice(&[0; 4]);
    temp.extend_from_slice(av_pairs);
    temp.extend_from_slice(&[0; 4]);
    temp
}
