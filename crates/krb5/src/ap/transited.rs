//! The realms between the client's and ours (RFC 4120 sections 2.7 and 3.3.3.2).

use core::fmt;
use std::sync::Arc;

use trihound_asn1::{EncTicketPart, TicketFlags, TransitedEncoding, printable};

use crate::{Config, Error, Policy, Principal};

/// DOMAIN-X500-COMPRESS (RFC 4120 section 3.3.3.2).
const DOMAIN_X500_COMPRESS: i32 = 1;

/// Bytes of a transited field that are looked at; the longest path of 32 realms of 255 bytes fits.
const MAX_CONTENTS: usize = 8192;

/// Realms that a path may have.
const MAX_REALMS: usize = 32;

/// Says whether a realm may lie on a path; arguments as told at [`TransitedPolicy::Check`].
pub type PathCheck = dyn Fn(&[u8], &[u8], &[u8]) -> bool + Send + Sync;

/// When a client of another realm is believed.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum TransitedPolicy {
    /// When the KDC set TRANSITED-POLICY-CHECKED, or no realm lies between its realm and ours (the
    /// two share a key, which is the administrators' decision), or `[capaths]` has a path between
    /// the two and every realm on the way is in it ([`Config::capath`]).
    #[default]
    RequireCheckedFlag,
    /// When every realm on the way is permitted by the function, whatever the flag says: the
    /// arguments are the client's realm, ours, and the realm in question. For trusts whose KDCs set
    /// no flag (MS-KILE section 3.4.5).
    Check(Arc<PathCheck>),
    /// As [`Self::RequireCheckedFlag`], or else, where `[capaths]` has no path, when the whole path
    /// lies on the domain hierarchy between the two realms (RFC 4120 section 1.2), as MIT krb5 does.
    CheckedFlagOrHierarchy,
    /// Clients of our own realm only.
    OwnRealmOnly,
}

impl fmt::Debug for TransitedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequireCheckedFlag => "RequireCheckedFlag",
            Self::Check(_) => "Check(..)",
            Self::CheckedFlagOrHierarchy => "CheckedFlagOrHierarchy",
            Self::OwnRealmOnly => "OwnRealmOnly",
        })
    }
}

impl TransitedPolicy {
    /// RFC 4120 2.7: an acceptor either trusts the KDC's check or does its own; without either it
    /// refuses the client.
    pub(super) fn check(
        &self,
        part: &EncTicketPart,
        server: &Principal,
        config: &Config,
    ) -> Result<(), Error> {
        let (client_realm, server_realm) = (part.crealm.as_bytes(), server.realm.as_bytes());
        if client_realm == server_realm {
            return Ok(());
        }
        let client = || {
            Principal {
                realm: part.crealm.clone(),
                name: part.cname.clone(),
            }
            .to_string()
        };
        let flag = part.flags.contains(TicketFlags::TRANSITED_POLICY_CHECKED);
        if flag
            && matches!(
                self,
                Self::RequireCheckedFlag | Self::CheckedFlagOrHierarchy
            )
        {
            return Ok(());
        }
        let realms =
            decode_transited(&part.transited, client_realm, server_realm).map_err(|reason| {
                Policy::TransitedUnreadable {
                    client: client(),
                    reason,
                }
            })?;
        let capath = capath(config, client_realm, server_realm);
        let refused: Option<&Vec<u8>> = match (self, capath) {
            // RFC 4120 2.7, krb5.conf(5): for a server [capaths] is the set of the realms that may
            // lie on the way.
            (Self::RequireCheckedFlag | Self::CheckedFlagOrHierarchy, Some(permitted)) => {
                realms.iter().find(|realm| {
                    !permitted
                        .iter()
                        .any(|known| known.as_bytes() == realm.as_slice())
                })
            }
            (Self::OwnRealmOnly, _) => {
                return Err(Policy::TransitedNotPermitted {
                    client: client(),
                    realm: part.crealm.to_string(),
                }
                .into());
            }
            (Self::RequireCheckedFlag, None) if realms.is_empty() => None,
            (Self::RequireCheckedFlag, None) => {
                let transited: Vec<_> = realms.iter().map(|realm| printable(realm)).collect();
                return Err(Policy::TransitedNotChecked {
                    client: client(),
                    transited: transited.join(", "),
                }
                .into());
            }
            (Self::Check(permits), _) => realms
                .iter()
                .find(|realm| !permits(client_realm, server_realm, realm)),
            (Self::CheckedFlagOrHierarchy, None) => realms
                .iter()
                .find(|realm| !on_hierarchy(client_realm, server_realm, realm)),
        };
        match refused {
            None => Ok(()),
            Some(realm) => Err(Policy::TransitedNotPermitted {
                client: client(),
                realm: printable(realm).into_owned(),
            }
            .into()),
        }
    }
}

/// The path of `[capaths]`, whose names are text; realms that are not have none.
fn capath<'c>(config: &'c Config, client: &[u8], server: &[u8]) -> Option<&'c [String]> {
    let (client, server) = (str::from_utf8(client).ok()?, str::from_utf8(server).ok()?);
    config.capath(client, server)
}

/// Whether a realm is an ancestor of one of the two, up to and including what they share.
fn on_hierarchy(client: &[u8], server: &[u8], realm: &[u8]) -> bool {
    let is_above = |below: &[u8]| {
        below
            .strip_suffix(realm)
            .is_some_and(|front| front.is_empty() || front.ends_with(b"."))
    };
    let shared = shared_suffix(client, server);
    !realm.is_empty() && realm.len() >= shared.len() && (is_above(client) || is_above(server))
}

/// The longest domain that both realms lie in; empty if there is none.
fn shared_suffix<'a>(left: &'a [u8], right: &[u8]) -> &'a [u8] {
    let mut candidate = left;
    loop {
        let fits = right
            .strip_suffix(candidate)
            .is_some_and(|front| front.is_empty() || front.ends_with(b"."));
        if fits {
            return candidate;
        }
        match candidate.iter().position(|byte| *byte == b'.') {
            Some(dot) => candidate = candidate.get(dot.saturating_add(1)..).unwrap_or_default(),
            None => return &[],
        }
    }
}

/// Decodes the transited field into the realms on the way, without the client's and the server's.
///
/// DOMAIN-X500-COMPRESS: realms between commas; `\` takes the next byte literally; a realm that ends
/// in `.` is put before the one before it, an X.500 one that begins with `/` behind it; a space in
/// front says that nothing is to be put together; an empty realm stands for every realm on the
/// hierarchy between its neighbours (the ends of the list stand for the client's and the server's).
///
/// # Errors
///
/// Why the field cannot be read: unknown type, too long, a lone backslash, nothing to extend.
pub fn decode_transited(
    transited: &TransitedEncoding,
    client_realm: &[u8],
    server_realm: &[u8],
) -> Result<Vec<Vec<u8>>, &'static str> {
    let contents: &[u8] = &transited.contents;
    if contents.is_empty() {
        return Ok(Vec::new());
    }
    // RFC 4120 3.3.3.2: the only encoding that is defined.
    if transited.tr_type != DOMAIN_X500_COMPRESS {
        return Err("its encoding is not DOMAIN-X500-COMPRESS");
    }
    if contents.len() > MAX_CONTENTS {
        return Err("it is too long");
    }
    let mut realms: Vec<Vec<u8>> = Vec::new();
    let mut previous: Vec<u8> = Vec::new();
    let mut fill_from: Option<Vec<u8>> = None;
    for field in split(contents)? {
        if field.bytes.is_empty() {
            let from = if previous.is_empty() {
                client_realm.to_vec()
            } else {
                previous.clone()
            };
            fill_from = Some(from);
            continue;
        }
        let realm = expand(&field, &previous)?;
        if let Some(from) = fill_from.take() {
            push_between(&mut realms, &from, &realm)?;
        }
        push(&mut realms, realm.clone())?;
        previous = realm;
    }
    if let Some(from) = fill_from {
        push_between(&mut realms, &from, server_realm)?;
    }
    realms.retain(|realm| realm != client_realm && realm != server_realm);
    Ok(realms)
}

/// One field between commas, with escapes resolved.
#[derive(Default)]
struct Field {
    bytes: Vec<u8>,
    /// Begins with an unescaped space: not put together with what precedes.
    stands_alone: bool,
    /// Ends in an unescaped dot.
    is_prefix: bool,
    /// Begins with an unescaped slash.
    is_suffix: bool,
}

fn split(contents: &[u8]) -> Result<Vec<Field>, &'static str> {
    let mut fields = Vec::new();
    let mut field = Field::default();
    let mut input = contents.iter().copied();
    while let Some(byte) = input.next() {
        let at_start = field.bytes.is_empty();
        match byte {
            b',' => {
                fields.push(core::mem::take(&mut field));
                continue;
            }
            b'\\' => {
                let literal = input.next().ok_or("it ends in a lone backslash")?;
                field.bytes.push(literal);
                field.is_prefix = false;
                continue;
            }
            b' ' if at_start && !field.stands_alone => {
                field.stands_alone = true;
                continue;
            }
            b'/' if at_start => field.is_suffix = true,
            _ => {}
        }
        field.is_prefix = byte == b'.';
        field.bytes.push(byte);
    }
    fields.push(field);
    Ok(fields)
}

fn expand(field: &Field, previous: &[u8]) -> Result<Vec<u8>, &'static str> {
    if field.stands_alone || !(field.is_prefix || field.is_suffix) {
        return Ok(field.bytes.clone());
    }
    if field.is_suffix {
        // An X.500 realm stands complete at the front of the list.
        return Ok([previous, &field.bytes].concat());
    }
    if previous.is_empty() {
        return Err("its first realm extends one that is not there");
    }
    Ok([&field.bytes, previous].concat())
}

fn push(realms: &mut Vec<Vec<u8>>, realm: Vec<u8>) -> Result<(), &'static str> {
    if realms.len() >= MAX_REALMS {
        return Err("it has too many realms");
    }
    realms.push(realm);
    Ok(())
}

/// The realms on the hierarchy between two, ends not included: up from the first to what both share,
/// then down to the second.
fn push_between(realms: &mut Vec<Vec<u8>>, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
    if from.starts_with(b"/") || to.starts_with(b"/") {
        return push_between_x500(realms, from, to);
    }
    let shared = shared_suffix(from, to).to_vec();
    if shared.is_empty() {
        return Err("it leaves out realms between two that share no domain");
    }
    for realm in ancestors(from, &shared) {
        push(realms, realm)?;
    }
    let is_end = shared == from || shared == to;
    if !is_end {
        push(realms, shared.clone())?;
    }
    let mut down = ancestors(to, &shared);
    down.reverse();
    for realm in down {
        push(realms, realm)?;
    }
    Ok(())
}

/// The domains above `realm` and below `top`, from the bottom up; neither is included.
fn ancestors(realm: &[u8], top: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = realm;
    while let Some(dot) = rest.iter().position(|byte| *byte == b'.') {
        rest = rest.get(dot.saturating_add(1)..).unwrap_or_default();
        if rest.len() <= top.len() || found.len() >= MAX_REALMS {
            break;
        }
        found.push(rest.to_vec());
    }
    found
}

/// As [`push_between`] for X.500 names, whose top stands in front.
fn push_between_x500(
    realms: &mut Vec<Vec<u8>>,
    from: &[u8],
    to: &[u8],
) -> Result<(), &'static str> {
    let (short, long) = if from.len() <= to.len() {
        (from, to)
    } else {
        (to, from)
    };
    let is_branch = long
        .strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    if !is_branch {
        return Err("it leaves out realms between two X.500 names of different branches");
    }
    let mut between: Vec<Vec<u8>> = Vec::new();
    for (position, byte) in long.iter().enumerate().skip(short.len().saturating_add(1)) {
        if *byte == b'/' {
            if between.len() >= MAX_REALMS {
                return Err("it has too many realms");
            }
            between.push(long.get(..position).unwrap_or_default().to_vec());
        }
    }
    if from.len() > to.len() {
        between.reverse();
    }
    between
        .into_iter()
        .try_for_each(|realm| push(realms, realm))
}

/// The realms on the domain hierarchy between two, ends not included; none if they share no domain.
pub(crate) fn hierarchy_between(from: &[u8], to: &[u8]) -> Vec<Vec<u8>> {
    let mut realms = Vec::new();
    match push_between(&mut realms, from, to) {
        Ok(()) => realms,
        Err(_) => Vec::new(),
    }
}
