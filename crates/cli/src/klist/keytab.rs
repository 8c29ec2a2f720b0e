use serde_json::{Value, json};
use trihound::environment::{default_client_keytab_path, load_config, read_keytab};
use trihound_krb5::KeytabEntry;

use super::{Arguments, print_json};
use crate::caches::keytab_path;
use crate::display::{enctype_name, hex, local_time};
use crate::outcome::Failure;

/// A keytab as MIT's klist shows it, or as JSON.
pub(super) fn list(arguments: &Arguments) -> Result<String, Failure> {
    let config = load_config()?;
    let path = match &arguments.name {
        None if arguments.client_keytab => default_client_keytab_path(&config)?,
        name => keytab_path(name.as_deref(), &config)?,
    };
    let keytab = read_keytab(&path)?;
    let name = format!("FILE:{}", path.display());
    if arguments.json {
        let entries: Vec<Value> = keytab
            .entries()
            .iter()
            .map(|entry| entry_json(arguments, entry))
            .collect();
        return print_json(&json!({ "keytab": name, "entries": entries }));
    }
    let mut text = format!("Keytab name: {name}\nKVNO ");
    text.push_str(if arguments.times {
        "Timestamp           Principal\n---- ------------------- "
    } else {
        "Principal\n---- "
    });
    // Up to column 79.
    text.push_str(&"-".repeat(if arguments.times { 54 } else { 74 }));
    text.push('\n');
    for entry in keytab.entries() {
        text.push_str(&entry_line(arguments, entry));
    }
    Ok(text)
}

fn entry_line(arguments: &Arguments, entry: &KeytabEntry) -> String {
    let mut line = format!("{:>4} ", entry.kvno);
    if arguments.times {
        line.push_str(&format!("{} ", local_time(entry.timestamp)));
    }
    line.push_str(&entry.principal.to_string());
    if arguments.enctypes {
        line.push_str(&format!(" ({}) ", enctype_name(entry.key.enctype())));
    }
    if arguments.keys {
        line.push_str(&format!(" (0x{})", hex(entry.key.expose())));
    }
    line.push('\n');
    line
}

fn entry_json(arguments: &Arguments, entry: &KeytabEntry) -> Value {
    let mut value = json!({
        "principal": entry.principal.to_string(),
        "kvno": entry.kvno,
        "timestamp": entry.timestamp.to_string(),
        "enctype": entry.key.enctype().to_string(),
    });
    if arguments.keys
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("key".to_owned(), hex(entry.key.expose()).into());
    }
    value
}
