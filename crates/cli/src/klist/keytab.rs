use trihound::environment::load_config;

use super::{Arguments, print_json};
use crate::caches;
use crate::ktutil::list::Columns;
use crate::outcome::Failure;

/// A keytab as MIT's klist shows it, or as JSON.
pub(super) fn list(arguments: &Arguments) -> Result<String, Failure> {
    let config = load_config()?;
    let keytab = match &arguments.name {
        None if arguments.client_keytab => caches::client_keytab(&config)?,
        name => caches::keytab(name.as_deref(), &config)?,
    };
    let columns = Columns {
        enctypes: arguments.enctypes,
        times: arguments.times,
        keys: arguments.keys,
    };
    let named = arguments.name.as_deref().map(|_| "the last argument");
    let content = caches::read_keytab(&keytab, named)?;
    if arguments.json {
        return print_json(&columns.json(keytab.name(), &content));
    }
    Ok(columns.text(keytab.name(), &content))
}
