//! KERB_VALIDATION_INFO and PAC_DEVICE_INFO: who an account is and in which groups
//! (MS-PAC sections 2.5 and 2.12).

use super::ndr::{MAX_MEMBERSHIPS, Ndr, StringHeader};
use super::{FileTime, Sid};
use crate::InvalidPac;

/// Bits of a group's `attributes` (MS-PAC section 2.2.1).
pub mod group_attributes {
    /// The membership cannot be turned off.
    pub const SE_GROUP_MANDATORY: u32 = 0x0000_0001;
    /// The group is on by default.
    pub const SE_GROUP_ENABLED_BY_DEFAULT: u32 = 0x0000_0002;
    /// The group is on.
    pub const SE_GROUP_ENABLED: u32 = 0x0000_0004;
    /// The account may be the group's owner.
    pub const SE_GROUP_OWNER: u32 = 0x0000_0008;
    /// A group of the resource's domain.
    pub const SE_GROUP_RESOURCE: u32 = 0x2000_0000;
}

/// Bits of [`KerbValidationInfo::user_flags`] (MS-PAC section 2.5).
pub mod user_flags {
    /// The account is a guest's.
    pub const LOGON_GUEST: u32 = 0x0000_0001;
    /// [`super::KerbValidationInfo::extra_sids`] counts.
    pub const LOGON_EXTRA_SIDS: u32 = 0x0000_0020;
    /// [`super::KerbValidationInfo::resource_groups`] counts.
    pub const LOGON_RESOURCE_GROUPS: u32 = 0x0000_0200;
}

/// GROUP_MEMBERSHIP: a group of a domain that is told elsewhere (MS-PAC section 2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMembership {
    /// The group's relative identifier.
    pub relative_id: u32,
    /// Bits of [`group_attributes`].
    pub attributes: u32,
}

/// KERB_SID_AND_ATTRIBUTES: a group or another SID in full (MS-PAC section 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidAndAttributes {
    /// The SID.
    pub sid: Sid,
    /// Bits of [`group_attributes`].
    pub attributes: u32,
}

/// DOMAIN_GROUP_MEMBERSHIP: groups of one domain (MS-PAC section 2.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainGroupMembership {
    /// The domain.
    pub domain_id: Sid,
    /// The groups.
    pub group_ids: Vec<GroupMembership>,
}

/// KERB_VALIDATION_INFO: the account as the domain controller knows it (MS-PAC section 2.5).
///
/// The field UserSessionKey is not kept: it belongs to NTLM and is zero in a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KerbValidationInfo {
    /// When the user logged on.
    pub logon_time: FileTime,
    /// When the session should end.
    pub logoff_time: FileTime,
    /// When the session is ended.
    pub kick_off_time: FileTime,
    /// When the password was set.
    pub password_last_set: FileTime,
    /// When the password may be changed.
    pub password_can_change: FileTime,
    /// When the password ends.
    pub password_must_change: FileTime,
    /// The account's name (sAMAccountName).
    pub effective_name: String,
    /// The name for people.
    pub full_name: String,
    /// The logon script's path.
    pub logon_script: String,
    /// The profile's path.
    pub profile_path: String,
    /// The home directory.
    pub home_directory: String,
    /// The drive of the home directory.
    pub home_directory_drive: String,
    /// How many logons there were.
    pub logon_count: u16,
    /// How many wrong passwords there were of late.
    pub bad_password_count: u16,
    /// The account's relative identifier; zero where [`Self::extra_sids`] begin with its SID.
    pub user_id: u32,
    /// The primary group's relative identifier.
    pub primary_group_id: u32,
    /// Groups of the account's domain.
    pub group_ids: Vec<GroupMembership>,
    /// Bits of [`user_flags`].
    pub user_flags: u32,
    /// The NetBIOS name of the domain controller.
    pub logon_server: String,
    /// The NetBIOS name of the account's domain.
    pub logon_domain_name: String,
    /// The SID of the account's domain.
    pub logon_domain_id: Option<Sid>,
    /// The account's userAccountControl, in the form of SAMR (MS-SAMR section 2.2.1.12).
    pub user_account_control: u32,
    /// The sub-authentication package's status.
    pub sub_auth_status: u32,
    /// The last interactive logon that succeeded.
    pub last_successful_i_logon: FileTime,
    /// The last interactive logon that failed.
    pub last_failed_i_logon: FileTime,
    /// How many interactive logons failed since.
    pub failed_i_logon_count: u32,
    /// Groups outside of the account's domain; they count only with
    /// [`user_flags::LOGON_EXTRA_SIDS`].
    pub extra_sids: Vec<SidAndAttributes>,
    /// The domain of [`Self::resource_groups`].
    pub resource_group_domain_sid: Option<Sid>,
    /// Groups of the resource's domain; they count only with
    /// [`user_flags::LOGON_RESOURCE_GROUPS`].
    pub resource_groups: Vec<GroupMembership>,
}

impl KerbValidationInfo {
    /// Reads the buffer of type 1.
    ///
    /// # Errors
    /// [`InvalidPac`]: not NDR, cut off, counts that disagree or are over their bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut ndr = Ndr::open(bytes, "KERB_VALIDATION_INFO")?;
        let fixed = Fixed::read(&mut ndr)?;
        fixed.with_referents(&mut ndr)
    }

    /// The account's SID: its relative identifier in its domain, or the first of the extra SIDs where
    /// the identifier is zero (MS-PAC section 2.5, UserId). `None` where neither is told.
    #[must_use]
    pub fn user_sid(&self) -> Option<Sid> {
        if self.user_id == 0 {
            return self.counted_extra_sids().first().map(|extra| extra.sid);
        }
        self.logon_domain_id?.member(self.user_id)
    }

    /// The primary group's SID.
    #[must_use]
    pub fn primary_group_sid(&self) -> Option<Sid> {
        self.logon_domain_id?.member(self.primary_group_id)
    }

    /// Every group that counts, in the order of the PAC: of the account's domain, then the extra
    /// SIDs, then those of the resource's domain. Extra SIDs and resource groups count only where
    /// the user flags say so (MS-PAC section 2.5, flags D and H).
    pub fn groups(&self) -> impl Iterator<Item = SidAndAttributes> + '_ {
        let of_domain = members(self.logon_domain_id, &self.group_ids);
        let resource: &[GroupMembership] = if self.has(user_flags::LOGON_RESOURCE_GROUPS) {
            &self.resource_groups
        } else {
            &[]
        };
        // With a user identifier of zero the first extra SID is the account's own.
        let extra = self.counted_extra_sids().iter().copied();
        of_domain
            .chain(extra.skip(usize::from(self.user_id == 0)))
            .chain(members(self.resource_group_domain_sid, resource))
    }

    fn has(&self, flag: u32) -> bool {
        self.user_flags & flag != 0
    }

    fn counted_extra_sids(&self) -> &[SidAndAttributes] {
        if self.has(user_flags::LOGON_EXTRA_SIDS) {
            &self.extra_sids
        } else {
            &[]
        }
    }
}

fn members(
    domain: Option<Sid>,
    groups: &[GroupMembership],
) -> impl Iterator<Item = SidAndAttributes> + '_ {
    groups.iter().filter_map(move |group| {
        Some(SidAndAttributes {
            sid: domain?.member(group.relative_id)?,
            attributes: group.attributes,
        })
    })
}

/// The fixed part of KERB_VALIDATION_INFO, in the order of its declaration.
struct Fixed {
    times: [FileTime; 6],
    names: [StringHeader; 6],
    logon_count: u16,
    bad_password_count: u16,
    user_id: u32,
    primary_group_id: u32,
    groups: (u32, bool),
    user_flags: u32,
    logon_server: StringHeader,
    logon_domain_name: StringHeader,
    logon_domain_id: bool,
    user_account_control: u32,
    sub_auth_status: u32,
    last_successful_i_logon: FileTime,
    last_failed_i_logon: FileTime,
    failed_i_logon_count: u32,
    extra_sids: (u32, bool),
    resource_group_domain_sid: bool,
    resource_groups: (u32, bool),
}

impl Fixed {
    fn read(ndr: &mut Ndr<'_>) -> Result<Self, InvalidPac> {
        let times = [
            ndr.file_time()?,
            ndr.file_time()?,
            ndr.file_time()?,
            ndr.file_time()?,
            ndr.file_time()?,
            ndr.file_time()?,
        ];
        let names = [
            ndr.string_header()?,
            ndr.string_header()?,
            ndr.string_header()?,
            ndr.string_header()?,
            ndr.string_header()?,
            ndr.string_header()?,
        ];
        let (logon_count, bad_password_count) = (ndr.u16()?, ndr.u16()?);
        let (user_id, primary_group_id) = (ndr.u32()?, ndr.u32()?);
        let groups = (ndr.u32()?, ndr.pointer()?);
        let user_flags = ndr.u32()?;
        // UserSessionKey.
        ndr.skip(16)?;
        let (logon_server, logon_domain_name) = (ndr.string_header()?, ndr.string_header()?);
        let logon_domain_id = ndr.pointer()?;
        // Reserved1.
        ndr.skip(8)?;
        let (user_account_control, sub_auth_status) = (ndr.u32()?, ndr.u32()?);
        let (last_successful_i_logon, last_failed_i_logon) = (ndr.file_time()?, ndr.file_time()?);
        let failed_i_logon_count = ndr.u32()?;
        // Reserved3.
        ndr.skip(4)?;
        Ok(Self {
            times,
            names,
            logon_count,
            bad_password_count,
            user_id,
            primary_group_id,
            groups,
            user_flags,
            logon_server,
            logon_domain_name,
            logon_domain_id,
            user_account_control,
            sub_auth_status,
            last_successful_i_logon,
            last_failed_i_logon,
            failed_i_logon_count,
            extra_sids: (ndr.u32()?, ndr.pointer()?),
            resource_group_domain_sid: ndr.pointer()?,
            resource_groups: (ndr.u32()?, ndr.pointer()?),
        })
    }

    /// What the pointers name follows in the order of the pointers (C706 section 14.3.12.3).
    fn with_referents(self, ndr: &mut Ndr<'_>) -> Result<KerbValidationInfo, InvalidPac> {
        let [
            logon_time,
            logoff_time,
            kick_off_time,
            password_last_set,
            password_can_change,
            password_must_change,
        ] = self.times;
        let [
            effective_name,
            full_name,
            logon_script,
            profile_path,
            home_directory,
            home_directory_drive,
        ] = self.names;
        Ok(KerbValidationInfo {
            logon_time,
            logoff_time,
            kick_off_time,
            password_last_set,
            password_can_change,
            password_must_change,
            effective_name: ndr.string(effective_name)?,
            full_name: ndr.string(full_name)?,
            logon_script: ndr.string(logon_script)?,
            profile_path: ndr.string(profile_path)?,
            home_directory: ndr.string(home_directory)?,
            home_directory_drive: ndr.string(home_directory_drive)?,
            logon_count: self.logon_count,
            bad_password_count: self.bad_password_count,
            user_id: self.user_id,
            primary_group_id: self.primary_group_id,
            group_ids: memberships(ndr, "groups", self.groups)?,
            user_flags: self.user_flags,
            logon_server: ndr.string(self.logon_server)?,
            logon_domain_name: ndr.string(self.logon_domain_name)?,
            logon_domain_id: ndr.optional_sid(self.logon_domain_id)?,
            user_account_control: self.user_account_control,
            sub_auth_status: self.sub_auth_status,
            last_successful_i_logon: self.last_successful_i_logon,
            last_failed_i_logon: self.last_failed_i_logon,
            failed_i_logon_count: self.failed_i_logon_count,
            extra_sids: sids(ndr, "extra SIDs", self.extra_sids)?,
            resource_group_domain_sid: ndr.optional_sid(self.resource_group_domain_sid)?,
            resource_groups: memberships(ndr, "resource groups", self.resource_groups)?,
        })
    }
}

fn memberships(
    ndr: &mut Ndr<'_>,
    field: &'static str,
    header: (u32, bool),
) -> Result<Vec<GroupMembership>, InvalidPac> {
    ndr.list(field, header, (MAX_MEMBERSHIPS, 8), |ndr| {
        Ok(GroupMembership {
            relative_id: ndr.u32()?,
            attributes: ndr.u32()?,
        })
    })
}

/// Elements with a pointer each, and behind all of them the SIDs.
fn sids(
    ndr: &mut Ndr<'_>,
    field: &'static str,
    header: (u32, bool),
) -> Result<Vec<SidAndAttributes>, InvalidPac> {
    let attributes = ndr.list(field, header, (MAX_MEMBERSHIPS, 8), |ndr| {
        ndr.required_pointer(field)?;
        ndr.u32()
    })?;
    attributes
        .into_iter()
        .map(|attributes| {
            Ok(SidAndAttributes {
                sid: ndr.sid()?,
                attributes,
            })
        })
        .collect()
}

/// PAC_DEVICE_INFO: the computer from which the user logged on, and its groups (MS-PAC section 2.12).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The computer account's relative identifier; zero where [`Self::extra_sids`] begin with its SID.
    pub user_id: u32,
    /// The primary group's relative identifier.
    pub primary_group_id: u32,
    /// The domain of the account.
    pub account_domain_id: Option<Sid>,
    /// Groups of the account's domain.
    pub account_group_ids: Vec<GroupMembership>,
    /// Groups that are of no domain.
    pub extra_sids: Vec<SidAndAttributes>,
    /// Groups of other domains.
    pub domain_groups: Vec<DomainGroupMembership>,
}

impl DeviceInfo {
    /// Reads the buffer of type 14.
    ///
    /// # Errors
    /// [`InvalidPac`]: not NDR, cut off, counts that disagree or are over their bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut ndr = Ndr::open(bytes, "PAC_DEVICE_INFO")?;
        let (user_id, primary_group_id) = (ndr.u32()?, ndr.u32()?);
        let account_domain_id = ndr.pointer()?;
        let groups = (ndr.u32()?, ndr.pointer()?);
        let extra_sids = (ndr.u32()?, ndr.pointer()?);
        let domain_groups = (ndr.u32()?, ndr.pointer()?);
        Ok(Self {
            user_id,
            primary_group_id,
            account_domain_id: ndr.optional_sid(account_domain_id)?,
            account_group_ids: memberships(&mut ndr, "groups", groups)?,
            extra_sids: sids(&mut ndr, "extra SIDs", extra_sids)?,
            domain_groups: domain_memberships(&mut ndr, domain_groups)?,
        })
    }

    /// The computer account's SID, as [`KerbValidationInfo::user_sid`].
    #[must_use]
    pub fn device_sid(&self) -> Option<Sid> {
        if self.user_id == 0 {
            return self.extra_sids.first().map(|extra| extra.sid);
        }
        self.account_domain_id?.member(self.user_id)
    }

    /// The computer's groups, as [`KerbValidationInfo::groups`].
    pub fn groups(&self) -> impl Iterator<Item = SidAndAttributes> + '_ {
        let of_domain = members(self.account_domain_id, &self.account_group_ids);
        let extra = self.extra_sids.iter().copied();
        let others = self
            .domain_groups
            .iter()
            .flat_map(|domain| members(Some(domain.domain_id), &domain.group_ids));
        of_domain
            .chain(extra.skip(usize::from(self.user_id == 0)))
            .chain(others)
    }
}

fn domain_memberships(
    ndr: &mut Ndr<'_>,
    header: (u32, bool),
) -> Result<Vec<DomainGroupMembership>, InvalidPac> {
    let headers = ndr.list("domains", header, (MAX_MEMBERSHIPS, 12), |ndr| {
        ndr.required_pointer("domain")?;
        Ok((ndr.u32()?, ndr.pointer()?))
    })?;
    headers
        .into_iter()
        .map(|groups| {
            Ok(DomainGroupMembership {
                domain_id: ndr.sid()?,
                group_ids: memberships(ndr, "groups of a domain", groups)?,
            })
        })
        .collect()
}
