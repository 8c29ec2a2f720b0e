use std::collections::BTreeSet;
use std::fmt;

use crate::pairwise::pairwise;

/// An axis: an enumeration whose values are listed in one array.
macro_rules! axis {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$value_doc])* $value),+ }

        impl $name {
            /// All values of the axis.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The value in the name of a case.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }
    };
}

pub(crate) use axis;

axis! {
    /// Which program plays which role.
    Role {
        /// Trihound initiates, MIT accepts.
        OursToMit = "ours-mit",
        /// MIT initiates, Trihound accepts.
        MitToOurs = "mit-ours",
        /// Trihound on both sides.
        OursToOurs = "ours-ours",
    }
}

axis! {
    /// The enctype of the user's key, of the service's key and of the ticket's session key.
    Enctype {
        /// RFC 3962, 256 bits.
        Aes256 = "aes256",
        /// RFC 3962, 128 bits.
        Aes128 = "aes128",
        /// RFC 8009, 256 bits.
        Aes256Sha2 = "aes256sha2",
        /// RFC 8009, 128 bits.
        Aes128Sha2 = "aes128sha2",
        /// RFC 4757; the realm's krb5.conf says allow_rc4.
        Rc4 = "rc4",
    }
}

axis! {
    /// Mutual authentication and DCE style, every cross of the two.
    Style {
        /// Neither: one leg.
        OneLeg = "",
        /// Two legs.
        Mutual = "mutual",
        /// Asked for alone it implies mutual authentication: three legs.
        Dce = "dce",
        /// Both asked for.
        MutualDce = "mutual,dce",
    }
}

axis! {
    /// What is noticed of the order of messages.
    Order {
        /// Nothing is asked for.
        Unasked = "",
        /// Replays.
        Replay = "replay",
        /// Messages out of sequence.
        Sequence = "seq",
        /// Both.
        Both = "replay,seq",
    }
}

axis! {
    /// What is said besides a sealed message, a signed one, and one with its MIC.
    Messages {
        /// Nothing.
        Basic = "",
        /// A message whose token and data travel apart.
        Iov = "iov",
        /// An empty sealed message.
        Big0 = "big=0",
        /// One byte.
        Big1 = "big=1",
        /// More than a 16-bit length.
        Big70000 = "big=70000",
        /// 1 MiB, and token and data apart too.
        IovBig1Mi = "iov,big=1048576",
    }
}

axis! {
    /// The channel bindings of the two sides.
    Bindings {
        /// Neither side has any.
        Neither = "unbound",
        /// Both have the same.
        Right = "bound",
        /// The two differ.
        Wrong = "wrongly-bound",
        /// The acceptor knows of no channel.
        InitiatorOnly = "initiator-bound",
        /// The initiator does not bind.
        AcceptorOnly = "acceptor-bound",
    }
}

axis! {
    /// Where the initiator has its credentials from.
    Credential {
        /// A name and a password.
        Password = "password",
        /// A client keytab.
        Keytab = "keytab",
        /// A cache that MIT's kinit filled.
        MitCache = "mit-cache",
        /// A cache that Trihound's kinit filled.
        OurCache = "our-cache",
    }
}

axis! {
    /// How the initiator reaches the KDC.
    Transport {
        /// UDP first.
        Udp = "udp",
        /// TCP only.
        Tcp = "tcp",
    }
}

axis! {
    /// What both sides permit; an acceptor may choose a better sub-key than the ticket's (RFC 4537).
    Permitted {
        /// Every enctype.
        All = "any-subkey",
        /// The case's enctype alone.
        Only = "own-subkey",
    }
}

/// Channel-binding data, and other such data, in hexadecimal digits.
const CHANNEL: &str = "cb=746c732d756e697175653a00ff41";
const OTHER_CHANNEL: &str = "cb=746c732d756e697175653a00ff42";

impl Bindings {
    /// The flag of the initiator and that of the acceptor, in the words of the programs.
    #[must_use]
    pub fn flags(self) -> (&'static str, &'static str) {
        match self {
            Self::Neither => ("", ""),
            Self::Right => (CHANNEL, CHANNEL),
            Self::Wrong => (CHANNEL, OTHER_CHANNEL),
            Self::InitiatorOnly => (CHANNEL, ""),
            Self::AcceptorOnly => ("", CHANNEL),
        }
    }
}

impl Enctype {
    /// The name in krb5.conf.
    #[must_use]
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Aes256 => "aes256-cts-hmac-sha1-96",
            Self::Aes128 => "aes128-cts-hmac-sha1-96",
            Self::Aes256Sha2 => "aes256-cts-hmac-sha384-192",
            Self::Aes128Sha2 => "aes128-cts-hmac-sha256-128",
            Self::Rc4 => "arcfour-hmac",
        }
    }

    /// The length of a key, in bytes.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes256 | Self::Aes256Sha2 => 32,
            Self::Aes128 | Self::Aes128Sha2 | Self::Rc4 => 16,
        }
    }
}

/// How a case must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Both sides succeed and agree.
    Agreement,
    /// The acceptor refuses the initiator's channel bindings, and the initiator fails too.
    BindingsRefused,
}

/// One context between two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Who plays whom.
    pub role: Role,
    /// The keys' type.
    pub enctype: Enctype,
    /// Mutual authentication, DCE style.
    pub style: Style,
    /// Order of messages.
    pub order: Order,
    /// What is said.
    pub messages: Messages,
    /// Channel bindings.
    pub bindings: Bindings,
    /// The initiator's credentials.
    pub credential: Credential,
    /// The way to the KDC.
    pub transport: Transport,
    /// The enctypes permitted.
    pub permitted: Permitted,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.role.word(),
            self.enctype.word(),
            self.style.word(),
            self.order.word(),
            self.messages.word(),
            self.bindings.word(),
            self.credential.word(),
            self.transport.word(),
            self.permitted.word(),
        ];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

impl Case {
    /// A plain case: a password, UDP, no channel bindings.
    #[must_use]
    pub fn plain(role: Role, enctype: Enctype, style: Style, permitted: Permitted) -> Self {
        Self {
            role,
            enctype,
            style,
            order: Order::Unasked,
            messages: Messages::Iov,
            bindings: Bindings::Neither,
            credential: Credential::Password,
            transport: Transport::Udp,
            permitted,
        }
    }

    /// How it must end.
    #[must_use]
    pub fn expected(&self) -> Expected {
        match (self.bindings, self.role) {
            (Bindings::Wrong, _) => Expected::BindingsRefused,
            // An acceptor of ours that was given bindings wants the initiator's; MIT's, since its version 1.19,
            // lets an initiator in that has none.
            (Bindings::AcceptorOnly, Role::MitToOurs | Role::OursToOurs) => {
                Expected::BindingsRefused
            }
            _ => Expected::Agreement,
        }
    }

    /// The attributes that both sides must report, in the words of the programs.
    #[must_use]
    pub fn expected_flags(&self) -> BTreeSet<&'static str> {
        // Both programs ask for these two by themselves, since they are going to seal and sign.
        let mut flags = BTreeSet::from(["conf", "integ"]);
        flags.extend(self.style.word().split(',').filter(|word| !word.is_empty()));
        flags.extend(self.order.word().split(',').filter(|word| !word.is_empty()));
        if flags.contains("dce") {
            flags.insert("mutual");
        }
        flags
    }

    fn from_row(row: &[usize]) -> Option<Self> {
        let [
            role,
            enctype,
            style,
            order,
            messages,
            bindings,
            credential,
            transport,
            permitted,
        ] = *row
        else {
            return None;
        };
        Some(Self {
            role: *Role::ALL.get(role)?,
            enctype: *Enctype::ALL.get(enctype)?,
            style: *Style::ALL.get(style)?,
            order: *Order::ALL.get(order)?,
            messages: *Messages::ALL.get(messages)?,
            bindings: *Bindings::ALL.get(bindings)?,
            credential: *Credential::ALL.get(credential)?,
            transport: *Transport::ALL.get(transport)?,
            permitted: *Permitted::ALL.get(permitted)?,
        })
    }
}

/// Every case that the axes call for: the full cross of role, enctype, style and permitted enctypes; every
/// pair of values of any two axes; and for each role every kind of bindings with and without an answer.
#[must_use]
pub fn planned_cases() -> Vec<Case> {
    let mut cases = BTreeSet::new();
    for &role in Role::ALL {
        for &style in Style::ALL {
            for &permitted in Permitted::ALL {
                let plain = Enctype::ALL
                    .iter()
                    .map(|&enctype| Case::plain(role, enctype, style, permitted));
                cases.extend(plain);
            }
            let bound = Bindings::ALL.iter().map(|&bindings| Case {
                bindings,
                messages: Messages::Basic,
                ..Case::plain(role, Enctype::Aes256, style, Permitted::All)
            });
            cases.extend(bound);
        }
    }
    let sizes = [
        Role::ALL.len(),
        Enctype::ALL.len(),
        Style::ALL.len(),
        Order::ALL.len(),
        Messages::ALL.len(),
        Bindings::ALL.len(),
        Credential::ALL.len(),
        Transport::ALL.len(),
        Permitted::ALL.len(),
    ];
    cases.extend(
        pairwise(&sizes)
            .iter()
            .filter_map(|row| Case::from_row(row)),
    );
    cases.into_iter().collect()
}
