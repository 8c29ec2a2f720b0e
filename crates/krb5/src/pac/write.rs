//! The buffers as a KDC writes them.

use super::ndr::{MAX_LIST, MAX_MEMBERSHIPS};
use super::ndr_write::{NdrWriter, wide};
use super::{
    ClaimEntry, ClaimValues, ClaimsSet, ClaimsSource, ClientInfo, FileTime, GroupMembership,
    KerbValidationInfo, PacAttributes, SamNameAndSid, Sid, UpnDnsInfo,
};
use crate::InvalidPac;

impl KerbValidationInfo {
    /// Writes the buffer of type 1.
    ///
    /// # Errors
    /// [`InvalidPac::TooMany`]: a list or a text that no reader takes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidPac> {
        let mut ndr = NdrWriter::new("KERB_VALIDATION_INFO");
        for time in [
            self.logon_time,
            self.logoff_time,
            self.kick_off_time,
            self.password_last_set,
            self.password_can_change,
            self.password_must_change,
        ] {
            ndr.file_time(time);
        }
        let names = [
            &self.effective_name,
            &self.full_name,
            &self.logon_script,
            &self.profile_path,
            &self.home_directory,
            &self.home_directory_drive,
        ];
        for name in names {
            ndr.string_header(name)?;
        }
        ndr.u16(self.logon_count);
        ndr.u16(self.bad_password_count);
        ndr.u32(self.user_id);
        ndr.u32(self.primary_group_id);
        list_header(&mut ndr, "groups", self.group_ids.len())?;
        ndr.u32(self.user_flags);
        // UserSessionKey, and below Reserved1 and Reserved3.
        ndr.zeros(16);
        ndr.string_header(&self.logon_server)?;
        ndr.string_header(&self.logon_domain_name)?;
        ndr.pointer(self.logon_domain_id.is_some());
        ndr.zeros(8);
        ndr.u32(self.user_account_control);
        ndr.u32(self.sub_auth_status);
        ndr.file_time(self.last_successful_i_logon);
        ndr.file_time(self.last_failed_i_logon);
        ndr.u32(self.failed_i_logon_count);
        ndr.zeros(4);
        list_header(&mut ndr, "extra SIDs", self.extra_sids.len())?;
        ndr.pointer(self.resource_group_domain_sid.is_some());
        list_header(&mut ndr, "resource groups", self.resource_groups.len())?;
        for name in names {
            ndr.string(name)?;
        }
        self.write_referents(&mut ndr)?;
        ndr.finish()
    }

    /// What stands behind the names (C706 section 14.3.12.3).
    fn write_referents(&self, ndr: &mut NdrWriter) -> Result<(), InvalidPac> {
        memberships(ndr, "groups", &self.group_ids)?;
        ndr.string(&self.logon_server)?;
        ndr.string(&self.logon_domain_name)?;
        if let Some(domain) = &self.logon_domain_id {
            ndr.sid(domain);
        }
        if !self.extra_sids.is_empty() {
            let count = ndr.count("extra SIDs", self.extra_sids.len(), MAX_MEMBERSHIPS)?;
            ndr.u32(count);
            for extra in &self.extra_sids {
                ndr.pointer(true);
                ndr.u32(extra.attributes);
            }
            for extra in &self.extra_sids {
                ndr.sid(&extra.sid);
            }
        }
        if let Some(domain) = &self.resource_group_domain_sid {
            ndr.sid(domain);
        }
        memberships(ndr, "resource groups", &self.resource_groups)
    }
}

/// Count and pointer of a list; an empty one is a null pointer.
fn list_header(ndr: &mut NdrWriter, field: &'static str, length: usize) -> Result<(), InvalidPac> {
    let count = ndr.count(field, length, MAX_MEMBERSHIPS)?;
    ndr.u32(count);
    ndr.pointer(length > 0);
    Ok(())
}

fn memberships(
    ndr: &mut NdrWriter,
    field: &'static str,
    groups: &[GroupMembership],
) -> Result<(), InvalidPac> {
    if groups.is_empty() {
        return Ok(());
    }
    let count = ndr.count(field, groups.len(), MAX_MEMBERSHIPS)?;
    ndr.u32(count);
    for group in groups {
        ndr.u32(group.relative_id);
        ndr.u32(group.attributes);
    }
    Ok(())
}

impl ClientInfo {
    /// Of a login at that time by that name.
    #[must_use]
    pub fn new(client_id: FileTime, name: impl Into<String>) -> Self {
        Self {
            client_id,
            name: name.into(),
        }
    }

    /// Writes the buffer of type 10.
    ///
    /// # Errors
    /// [`InvalidPac::TooMany`]: a name of more than 32,767 characters.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidPac> {
        let name = wide(&self.name);
        let length = length16("PAC_CLIENT_INFO", name.len())?;
        let mut bytes = self.client_id.0.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(name);
        Ok(bytes)
    }
}

fn length16(structure: &'static str, length: usize) -> Result<u16, InvalidPac> {
    u16::try_from(length).map_err(|_| InvalidPac::TooMany {
        structure,
        field: "bytes",
        count: u32::try_from(length).unwrap_or(u32::MAX),
        limit: u16::MAX.into(),
    })
}

impl UpnDnsInfo {
    /// With the account's name and SID, as domain controllers send it since 2021.
    #[must_use]
    pub fn new(upn: &str, dns_domain_name: &str, sam_name: &str, sid: Sid) -> Self {
        Self {
            upn: upn.to_owned(),
            dns_domain_name: dns_domain_name.to_owned(),
            flags: Self::HAS_SAM_NAME_AND_SID,
            extended: Some(SamNameAndSid {
                sam_name: sam_name.to_owned(),
                sid,
            }),
        }
    }

    /// Writes the buffer of type 12: the header, and behind it each part on a boundary of 8 bytes.
    ///
    /// # Errors
    /// [`InvalidPac::TooMany`]: names that do not fit offsets of 16 bits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidPac> {
        const NAME: &str = "UPN_DNS_INFO";
        let extended = self.extended.as_ref();
        let header: usize = if extended.is_some() { 24 } else { 16 };
        let mut tail: Vec<u8> = Vec::new();
        let mut place = |part: &[u8]| -> Result<[u8; 4], InvalidPac> {
            let offset = length16(NAME, header.saturating_add(tail.len()))?;
            tail.extend(part);
            tail.resize(tail.len().next_multiple_of(8), 0);
            let [a, b] = length16(NAME, part.len())?.to_le_bytes();
            let [c, d] = offset.to_le_bytes();
            Ok([a, b, c, d])
        };
        let mut bytes = place(&wide(&self.upn))?.to_vec();
        bytes.extend(place(&wide(&self.dns_domain_name))?);
        bytes.extend(self.flags.to_le_bytes());
        if let Some(extended) = extended {
            bytes.extend(place(&wide(&extended.sam_name))?);
            bytes.extend(place(&extended.sid.to_bytes())?);
        }
        bytes.resize(header, 0);
        bytes.extend(tail);
        Ok(bytes)
    }
}

impl PacAttributes {
    /// The two bits that are defined.
    #[must_use]
    pub const fn new(flags: u32) -> Self {
        Self {
            flags_length: 2,
            flags,
        }
    }

    /// Writes the buffer of type 17.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.flags_length, self.flags]
            .map(u32::to_le_bytes)
            .concat()
    }
}

impl ClaimsSet {
    /// Writes the buffer of type 13 or 15, without compression.
    ///
    /// # Errors
    /// [`InvalidPac::TooMany`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidPac> {
        let set = self.write()?;
        let mut ndr = NdrWriter::new("CLAIMS_SET_METADATA");
        let length = ndr.count("bytes of claims", set.len(), super::MAX_CLAIMS_LENGTH)?;
        ndr.u32(length);
        ndr.pointer(true);
        // CLAIMS_COMPRESSION_FORMAT_NONE; the reserved fields.
        ndr.u16(0);
        ndr.u32(length);
        ndr.u16(0);
        ndr.u32(0);
        ndr.pointer(false);
        ndr.u32(length);
        ndr.bytes(&set);
        ndr.finish()
    }

    /// CLAIMS_SET (MS-ADTS section 2.2.18.7).
    fn write(&self) -> Result<Vec<u8>, InvalidPac> {
        let mut ndr = NdrWriter::new("CLAIMS_SET");
        let count = ndr.count("arrays of claims", self.arrays.len(), MAX_LIST)?;
        ndr.u32(count);
        ndr.pointer(true);
        // usReservedType, ulReservedFieldSize and the pointer to the field.
        ndr.u16(0);
        ndr.u32(0);
        ndr.pointer(false);
        ndr.u32(count);
        for array in &self.arrays {
            ndr.u16(match array.source {
                ClaimsSource::ActiveDirectory => 1,
                ClaimsSource::Certificate => 2,
            });
            let count = ndr.count("claims", array.entries.len(), MAX_LIST)?;
            ndr.u32(count);
            ndr.pointer(true);
        }
        for array in &self.arrays {
            let count = ndr.count("claims", array.entries.len(), MAX_LIST)?;
            ndr.u32(count);
            for entry in &array.entries {
                entry.write_header(&mut ndr)?;
            }
            for entry in &array.entries {
                entry.write_referents(&mut ndr)?;
            }
        }
        ndr.finish()
    }
}

impl ClaimEntry {
    fn kind_and_length(&self) -> (u16, usize) {
        match &self.values {
            ClaimValues::Int64(values) => (1, values.len()),
            ClaimValues::Uint64(values) => (2, values.len()),
            ClaimValues::String(values) => (3, values.len()),
            ClaimValues::Boolean(values) => (6, values.len()),
        }
    }

    fn write_header(&self, ndr: &mut NdrWriter) -> Result<(), InvalidPac> {
        let (kind, length) = self.kind_and_length();
        let count = ndr.count("values of a claim", length, MAX_LIST)?;
        ndr.pointer(true);
        // The type, and once more as the union's discriminant (C706 section 14.3.8).
        ndr.u16(kind);
        ndr.u16(kind);
        ndr.u32(count);
        ndr.pointer(true);
        Ok(())
    }

    fn write_referents(&self, ndr: &mut NdrWriter) -> Result<(), InvalidPac> {
        ndr.terminated_string(&self.id)?;
        let (_, length) = self.kind_and_length();
        let count = ndr.count("values of a claim", length, MAX_LIST)?;
        ndr.u32(count);
        match &self.values {
            ClaimValues::Int64(values) => {
                values
                    .iter()
                    .for_each(|value| ndr.u64(value.cast_unsigned()));
            }
            ClaimValues::Uint64(values) => values.iter().for_each(|value| ndr.u64(*value)),
            ClaimValues::Boolean(values) => {
                values.iter().for_each(|value| ndr.u64((*value).into()));
            }
            ClaimValues::String(values) => {
                values.iter().for_each(|_| ndr.pointer(true));
                for value in values {
                    ndr.terminated_string(value)?;
                }
            }
        }
        Ok(())
    }
}
