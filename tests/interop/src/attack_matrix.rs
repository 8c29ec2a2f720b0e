use crate::attack_axes::{Attack, AttackCase};
use crate::relay::{Change, Sender};
use crate::{Failure, Held, NtlmCase, NtlmStage, Peers, Report, Speaker, ntlm_conversation};

/// What the report calls this matrix.
const MATRIX: &str = "ntlm attacks";

const SIGNATURE: &[u8] = b"NTLMSSP\0";
const NEGOTIATE: u8 = 1;
const CHALLENGE: u8 = 2;
const AUTHENTICATE: u8 = 3;

/// SIGN and SEAL, in the first byte of the flags.
const PROTECTION: u8 = 0x30;

/// Runs the attacks, two at a time. `None` as peers skips them all, which the report tells.
///
/// # Errors
///
/// The stage cannot be set.
pub fn run_attacks(peers: Option<&Peers>, cases: &[AttackCase]) -> Result<Report, Failure> {
    let Some(peers) = peers else {
        return Ok(Report::skipped(MATRIX, cases.len()));
    };
    let stage = NtlmStage::new(peers)?;
    Ok(Report::of(MATRIX, cases, |case| play(&stage, case)))
}

fn play(stage: &NtlmStage<'_>, case: &AttackCase) -> Result<(), Failure> {
    let plain = NtlmCase::plain(case.initiator, case.acceptor, case.layer);
    let held = ntlm_conversation(&plain).hold_through(
        Some(change(case.attack)),
        stage.side(case.initiator, plain.account.word()),
        stage.side(case.acceptor, "accounts"),
    )?;
    verdict(case, &held).map_err(|wrong| {
        Failure::new(format!(
            "{wrong}\n{}\n{}",
            held.initiated.finished, held.accepted.finished
        ))
    })
}

fn verdict(case: &AttackCase, held: &Held) -> Result<(), String> {
    let sides = [
        ("initiator", case.initiator, &held.initiated),
        ("acceptor", case.acceptor, &held.accepted),
    ];
    for (side, _, result) in sides {
        if result.ok() || result.finished.success() {
            return Err(format!("the {side} did not fail"));
        }
    }
    let told = |side: Speaker, result: &crate::SideResult| {
        side == Speaker::Ours
            && case
                .reasons()
                .iter()
                .any(|reason| result.finished.stderr.contains(reason))
    };
    let noticed = told(case.initiator, &held.initiated) || told(case.acceptor, &held.accepted);
    let victim = if case.victim_accepts() {
        case.acceptor
    } else {
        case.initiator
    };
    if victim == Speaker::Ours && !noticed {
        return Err(format!("nobody tells of {:?}", case.reasons()));
    }
    Ok(())
}

/// Where the NTLM message of this type begins in a token, raw or inside SPNEGO.
fn find(frame: &[u8], kind: u8) -> Option<usize> {
    frame
        .windows(SIGNATURE.len() + 1)
        .position(|window| window.starts_with(SIGNATURE) && window.last() == Some(&kind))
}

/// Changes the byte this far behind the beginning of the message of this type, if the frame has one.
fn alter(frame: &mut [u8], kind: u8, at: usize, with: impl Fn(u8) -> u8) {
    if let Some(byte) = find(frame, kind).and_then(|start| frame.get_mut(start + at)) {
        *byte = with(*byte);
    }
}

/// The offset that a field of the AUTHENTICATE message tells of.
fn field(frame: &[u8], at: usize) -> Option<usize> {
    let start = find(frame, AUTHENTICATE)?;
    let offset = frame.get(start + at + 4..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*offset)).ok()
}

fn change(attack: Attack) -> Change {
    // The messages begin with the initiator's third frame: a sealed one, then another, then one with its MIC.
    let mut first: Option<Vec<u8>> = None;
    Box::new(move |sender, index, mut frame| {
        let said = sender == Sender::Initiator && index >= 2;
        match attack {
            Attack::NegotiateFlags => alter(&mut frame, NEGOTIATE, 12, |byte| byte & !PROTECTION),
            Attack::ChallengeFlags => alter(&mut frame, CHALLENGE, 20, |byte| byte & !PROTECTION),
            Attack::AuthenticateFlags => {
                alter(&mut frame, AUTHENTICATE, 60, |byte| byte & !PROTECTION);
            }
            Attack::ServerChallenge => alter(&mut frame, CHALLENGE, 24, |byte| byte ^ 1),
            Attack::MicStripped => {
                (72..88).for_each(|at| alter(&mut frame, AUTHENTICATE, at, |_| 0));
            }
            Attack::SessionKey => {
                if let Some(key) = field(&frame, 52) {
                    alter(&mut frame, AUTHENTICATE, key, |byte| byte ^ 1);
                }
            }
            Attack::Proof => {
                if let Some(response) = field(&frame, 20) {
                    alter(&mut frame, AUTHENTICATE, response, |byte| byte ^ 1);
                }
            }
            Attack::Sealed if said && index == 2 => flip_last(&mut frame),
            Attack::Signed if said && index == 4 => flip_last(&mut frame),
            Attack::Twice if said && index == 2 => return vec![frame.clone(), frame],
            Attack::Old if said => {
                let old = first.get_or_insert_with(|| frame.clone());
                return vec![old.clone()];
            }
            Attack::Reflected if said && index == 2 => first = Some(frame.clone()),
            Attack::Reflected if sender == Sender::Acceptor => {
                // Whatever comes after the first message is the answer to it.
                if let Some(own) = first.take() {
                    return vec![own];
                }
            }
            _ => {}
        }
        vec![frame]
    })
}

fn flip_last(frame: &mut [u8]) {
    if let Some(byte) = frame.last_mut() {
        *byte ^= 1;
    }
}
