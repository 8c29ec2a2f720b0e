//! Keytabs as people and programs read them.

use serde_json::{Value, json};
use trihound::environment::KeytabName;
use trihound_krb5::{Keytab, KeytabEntry};

use crate::display::{enctype_name, hex, local_time};
use crate::outcome::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    columns: Columns,
    /// The keytab; it may stand here too.
    #[arg(id = "same_keytab", short = 'k', value_name = "KEYTAB")]
    pub(super) keytab: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What to tell of each entry beside principal and key version; the letters are those of MIT's `klist`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Columns {
    /// The encryption types.
    #[arg(short = 'e')]
    pub(crate) enctypes: bool,
    /// The times at which the entries were written.
    #[arg(short = 't')]
    pub(crate) times: bool,
    /// The keys themselves, in hexadecimal digits.
    #[arg(short = 'K')]
    pub(crate) keys: bool,
}

impl Arguments {
    pub(super) fn text(&self, name: &KeytabName, keytab: &Keytab) -> Result<String, Failure> {
        if self.json {
            let value = self.columns.json(name, keytab);
            return Ok(serde_json::to_string_pretty(&value)? + "\n");
        }
        Ok(self.columns.text(name, keytab))
    }
}

impl Columns {
    /// The lines of MIT's `klist -k`.
    pub(crate) fn text(self, name: &KeytabName, keytab: &Keytab) -> String {
        let mut text = format!("Keytab name: {name}\nKVNO ");
        text.push_str(if self.times {
            "Timestamp           Principal\n---- ------------------- "
        } else {
            "Principal\n---- "
        });
        // Up to column 79.
        text.push_str(&"-".repeat(if self.times { 54 } else { 74 }));
        text.push('\n');
        for entry in keytab.entries() {
            text.push_str(&self.line(entry));
        }
        text
    }

    fn line(self, entry: &KeytabEntry) -> String {
        let mut line = format!("{:>4} ", entry.kvno);
        if self.times {
            line.push_str(&format!("{} ", local_time(entry.timestamp)));
        }
        line.push_str(&entry.principal.to_string());
        if self.enctypes {
            line.push_str(&format!(" ({}) ", enctype_name(entry.key.enctype())));
        }
        if self.keys {
            line.push_str(&format!(" (0x{})", hex(entry.key.expose())));
        }
        line.push('\n');
        line
    }

    /// The same for programs; types always, keys where they are asked for.
    pub(crate) fn json(self, name: &KeytabName, keytab: &Keytab) -> Value {
        let entry = |entry: &KeytabEntry| {
            let mut value = json!({
                "principal": entry.principal.to_string(),
                "kvno": entry.kvno,
                "timestamp": entry.timestamp.to_string(),
                "enctype": entry.key.enctype().to_string(),
            });
            if self.keys
                && let Some(fields) = value.as_object_mut()
            {
                fields.insert("key".to_owned(), hex(entry.key.expose()).into());
            }
            value
        };
        let entries: Vec<Value> = keytab.entries().iter().map(|found| entry(found)).collect();
        json!({ "keytab": name.to_string(), "entries": entries })
    }
}
