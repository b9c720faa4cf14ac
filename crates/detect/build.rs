//! Embeds the rule files: writes a table of their names and contents.

use std::{fmt::Write as _, fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = Path::new("rules");
    println!("cargo::rerun-if-changed=rules");
    let mut table = "const BUILT_IN: &[(&str, &str)] = &[\n".to_owned();
    for area in sorted_entries(root)? {
        for file in sorted_entries(&root.join(&area))? {
            let name = format!("{area}/{file}");
            writeln!(
                table,
                r#"    ({name:?}, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), {:?}))),"#,
                format!("/rules/{name}")
            )
            .map_err(io::Error::other)?;
        }
    }
    table.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&out).join("built_in_rules.rs"), table)
}

fn sorted_entries(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
