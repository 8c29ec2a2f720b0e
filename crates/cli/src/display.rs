use chrono::{Local, TimeZone};
use trihound_asn1::TicketFlags;
use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;

/// MIT's `MM/DD/YYYY HH:MM:SS` in the local time zone.
pub(crate) fn local_time(moment: Timestamp) -> String {
    match Local.timestamp_opt(moment.seconds(), 0).single() {
        Some(time) => time.format("%m/%d/%Y %H:%M:%S").to_string(),
        None => moment.to_string(),
    }
}

/// An encryption type's name as MIT prints it, with its warning for weak ones.
pub(crate) fn enctype_name(enctype: Enctype) -> String {
    match enctype.profile() {
        Some(profile) if profile.status != trihound_crypto::Status::Recommended => {
            format!("DEPRECATED:{enctype}")
        }
        _ => enctype.to_string(),
    }
}

/// MIT's letters for ticket flags, in its order (klist(1), `-f`).
const FLAG_LETTERS: [(TicketFlags, char); 14] = [
    (TicketFlags::FORWARDABLE, 'F'),
    (TicketFlags::FORWARDED, 'f'),
    (TicketFlags::PROXIABLE, 'P'),
    (TicketFlags::PROXY, 'p'),
    (TicketFlags::MAY_POSTDATE, 'D'),
    (TicketFlags::POSTDATED, 'd'),
    (TicketFlags::INVALID, 'i'),
    (TicketFlags::RENEWABLE, 'R'),
    (TicketFlags::INITIAL, 'I'),
    (TicketFlags::HW_AUTHENT, 'H'),
    (TicketFlags::PRE_AUTHENT, 'A'),
    (TicketFlags::TRANSITED_POLICY_CHECKED, 'T'),
    (TicketFlags::OK_AS_DELEGATE, 'O'),
    (TicketFlags::ANONYMOUS, 'a'),
];

/// Ticket flags in MIT's letters.
pub(crate) fn flag_letters(flags: TicketFlags) -> String {
    FLAG_LETTERS
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, letter)| letter)
        .collect()
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_in_mits_order() {
        let flags = TicketFlags::INITIAL
            | TicketFlags::FORWARDABLE
            | TicketFlags::RENEWABLE
            | TicketFlags::PRE_AUTHENT;
        assert_eq!(flag_letters(flags), "FRIA");
        assert_eq!(flag_letters(TicketFlags::empty()), "");
    }
}
