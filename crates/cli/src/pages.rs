//! Completions of shells and manual pages, from the definitions that the command line is read by.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::outcome::{Failure, finish, write_out};

/// Options of `trihound completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Options of `trihound man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Where to put the pages, such as ~/.local/share/man/man1, which is made if need be; with `-` or none they go to standard output.
    directory: Option<PathBuf>,
}

pub(crate) fn completions(arguments: &CompletionArguments, program: Command) -> ExitCode {
    finish("completions", write_out(&script(arguments.shell, program)))
}

pub(crate) fn man(arguments: &ManArguments, program: Command) -> ExitCode {
    let directory = arguments.directory.as_deref();
    let written = pages(program).and_then(|pages| match directory {
        Some(directory) if directory != Path::new("-") => write_files(directory, &pages),
        _ => write_out(
            &pages
                .into_iter()
                .flat_map(|page| page.text)
                .collect::<Vec<u8>>(),
        ),
    });
    finish("man", written)
}

fn script(shell: Shell, mut program: Command) -> Vec<u8> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    text
}

/// One manual page, in roff.
struct Page {
    file: String,
    text: Vec<u8>,
}

/// The page of the program, then that of each of its tools.
fn pages(program: Command) -> Result<Vec<Page>, Failure> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut all = Vec::new();
    collect(&program, &mut all)?;
    Ok(all)
}

fn collect(command: &Command, all: &mut Vec<Page>) -> Result<(), Failure> {
    all.push(page(command.clone())?);
    command
        .get_subcommands()
        .filter(|tool| !tool.is_hide_set() && tool.get_name() != "help")
        .try_for_each(|tool| collect(tool, all))
}

fn page(command: Command) -> Result<Page, Failure> {
    let source = concat!("Trihound ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(source).manual("Trihound");
    let mut text = Vec::new();
    man.render(&mut text)?;
    Ok(Page {
        file: man.get_filename(),
        text,
    })
}

fn write_files(directory: &Path, pages: &[Page]) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::from(error).context(directory.display()))?;
    for page in pages {
        let path = directory.join(&page.file);
        std::fs::write(&path, &page.text)
            .map_err(|error| Failure::from(error).context(path.display()))?;
    }
    Ok(())
}
