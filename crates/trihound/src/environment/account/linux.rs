//! One thread's user, groups and capabilities. The C library's own functions change them for all threads at once;
//! these are the kernel's, which change the calling one.

use std::cell::Cell;
use std::ffi::CString;
use std::io::Write;

use nix::unistd::{User, getgrouplist, getresgid, getresuid};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, getgroups};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, get_keep_capabilities, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use trihound_sspi::AssumedIdentity;

use super::{LocalAccountError, Outcome};

thread_local! {
    /// While the thread acts as somebody else: whether its own real and effective numbers differ.
    static OWN_DIFFER: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether the thread's own real and effective user or group differ, if it acts as somebody else now.
pub(in super::super) fn own_numbers_differ() -> Option<bool> {
    OWN_DIFFER.try_with(Cell::get).ok().flatten()
}

/// An account as the database has it.
struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// What a thread is of itself.
struct Own {
    real: (Uid, Gid),
    effective: (Uid, Gid),
    saved: (Uid, Gid),
    groups: Vec<Gid>,
    capabilities: CapabilitySets,
    /// PR_GET_KEEPCAPS.
    keeps: bool,
}

struct Assumed {
    account: Account,
    own: Own,
}

/// A step that the kernel refused.
struct Failed {
    what: &'static str,
    reason: Errno,
}

fn failing(what: &'static str) -> impl Fn(Errno) -> Failed {
    move |reason| Failed { what, reason }
}

pub(super) fn assume(name: &str) -> Result<Outcome, LocalAccountError> {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
    if !may {
        return Ok(Outcome::NotPermitted);
    }
    let Some(account) = look_up(name)? else {
        return Ok(Outcome::NoSuchAccount);
    };
    let refused = |failed: Failed| LocalAccountError::Refused {
        account: name.to_owned(),
        what: failed.what,
        reason: failed.reason.to_string(),
    };
    let own = Own::of_thread().map_err(refused)?;
    let assumed = Assumed { account, own };
    assumed.enter().map_err(|failed| {
        assumed.leave_or_abort();
        refused(failed)
    })?;
    Ok(Outcome::Assumed(Box::new(assumed)))
}

fn look_up(name: &str) -> Result<Option<Account>, LocalAccountError> {
    let unanswered = |reason: nix::Error| LocalAccountError::Database {
        account: name.to_owned(),
        reason: reason.to_string(),
    };
    // A name with a zero byte in it is nobody's.
    let Ok(c_name) = CString::new(name) else {
        return Ok(None);
    };
    let Some(user) = User::from_name(name).map_err(unanswered)? else {
        return Ok(None);
    };
    let groups = getgrouplist(&c_name, user.gid).map_err(unanswered)?;
    Ok(Some(Account {
        name: name.to_owned(),
        uid: Uid::from_raw(user.uid.as_raw()),
        gid: Gid::from_raw(user.gid.as_raw()),
        groups: groups
            .into_iter()
            .map(|group| Gid::from_raw(group.as_raw()))
            .collect(),
    }))
}

impl Own {
    fn of_thread() -> Result<Self, Failed> {
        let unread = |what| {
            move |reason: nix::Error| Failed {
                what,
                reason: Errno::from_raw_os_error(reason as i32),
            }
        };
        let uids = getresuid().map_err(unread("getresuid"))?;
        let gids = getresgid().map_err(unread("getresgid"))?;
        let pair = |uid: nix::unistd::Uid, gid: nix::unistd::Gid| {
            (Uid::from_raw(uid.as_raw()), Gid::from_raw(gid.as_raw()))
        };
        Ok(Self {
            real: pair(uids.real, gids.real),
            effective: pair(uids.effective, gids.effective),
            saved: pair(uids.saved, gids.saved),
            groups: getgroups().map_err(failing("getgroups"))?,
            capabilities: capabilities(None).map_err(failing("capget"))?,
            keeps: get_keep_capabilities().map_err(failing("prctl"))?,
        })
    }
}

impl Assumed {
    /// Groups first: they need the rights that a change of the user takes away.
    fn enter(&self) -> Result<(), Failed> {
        let Account { uid, gid, .. } = self.account;
        let (own_uid, own_gid) = self.own.effective;
        let differ = self.own.real != self.own.effective;
        let _ = OWN_DIFFER.try_with(|cell| cell.set(Some(differ)));
        set_thread_groups(&self.account.groups).map_err(failing("setgroups"))?;
        // The kernel takes all capabilities from who was root and is no more (capabilities(7)), and they are what
        // a process that is not root goes back with.
        if uid.is_root() && !self.own.keeps {
            set_keep_capabilities(true).map_err(failing("prctl"))?;
        }
        // The own numbers are saved, which is what lets the thread go back without any right.
        set_thread_res_gid(None, gid, own_gid).map_err(failing("setresgid"))?;
        set_thread_res_uid(None, uid, own_uid).map_err(failing("setresuid"))?;
        if uid.is_root() {
            return Ok(());
        }
        // The kernel does this only where the own user is root; CAP_DAC_OVERRIDE would make all of it vain.
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            ..self.own.capabilities
        };
        set_capabilities(None, none).map_err(failing("capset"))
    }

    fn leave(&self) -> Result<(), Failed> {
        let own = &self.own;
        set_thread_res_uid(None, own.effective.0, None).map_err(failing("setresuid"))?;
        set_capabilities(None, own.capabilities).map_err(failing("capset"))?;
        set_thread_groups(&own.groups).map_err(failing("setgroups"))?;
        set_thread_res_gid(own.real.1, own.effective.1, own.saved.1)
            .map_err(failing("setresgid"))?;
        set_thread_res_uid(own.real.0, own.effective.0, own.saved.0)
            .map_err(failing("setresuid"))?;
        // A change of the effective user may have changed them.
        set_capabilities(None, own.capabilities).map_err(failing("capset"))?;
        // Left alone where the own value stands, which may be locked.
        if get_keep_capabilities().map_err(failing("prctl"))? != own.keeps {
            set_keep_capabilities(own.keeps).map_err(failing("prctl"))?;
        }
        let _ = OWN_DIFFER.try_with(|cell| cell.set(None));
        Ok(())
    }

    fn leave_or_abort(&self) {
        if let Err(failed) = self.leave() {
            self.abort("gives up", &failed);
        }
    }

    /// Nobody can say whose rights the thread has now, and whoever calls would go on with them.
    fn abort(&self, doing: &str, failed: &Failed) -> ! {
        let name = &self.account.name;
        let Failed { what, reason } = failed;
        tracing::error!(account = %name, what, %reason, "The process ends: a thread cannot change its user");
        let _ = writeln!(
            std::io::stderr(),
            "trihound: a thread that {doing} the user {name:?} cannot: {what}: {reason}; the process ends, since \
             nobody can say whose rights it has"
        );
        std::process::abort()
    }
}

impl AssumedIdentity for Assumed {
    fn account(&self) -> &str {
        &self.account.name
    }

    fn revert(&self) {
        self.leave_or_abort();
    }

    fn resume(&self) {
        if let Err(failed) = self.enter() {
            self.abort("takes on", &failed);
        }
    }
}
