//! How the system of an old host is started, from what its own boot loader reads; and the same for
//! ours, as a script.
//!
//! Pure: texts in, texts out. An old configuration is read for its default entry alone, and only
//! what it loads is taken from it: nothing of it is run.

use std::fmt::Write as _;

use partitioner::ids::Guid;

use crate::bootcfg::{BootConf, BootFiles};

/// How the first program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Multiboot,
    Multiboot2,
    /// A kernel without Xen.
    Linux,
}

/// A file and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub path: String,
    pub args: Vec<String>,
}

/// The default entry. Invariant: no path and no argument holds a quote, and every path begins with
/// a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldBoot {
    pub protocol: Protocol,
    /// Xen, kernel, initrd; or kernel and initrd.
    pub files: Vec<Loaded>,
}

/// Why an entry cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OldBootError {
    #[error("it has no entry that loads a kernel with its initrd")]
    NoEntry,
    #[error("`{word}` holds a quote or a control character")]
    Unquotable { word: String },
    #[error("`{path}` is no path within the root")]
    Path { path: String },
    #[error("the kernel gets no root= argument")]
    NoRoot,
}

impl OldBoot {
    /// Of a `grub.cfg`.
    pub fn from_grub(text: &str) -> Result<Self, OldBootError> {
        let entries = grub_entries(text);
        let wanted = grub_default(text).and_then(|number| entries.get(number));
        let whole = |entry: &&Vec<Line>| is_whole(entry);
        let entry = wanted.filter(whole).or_else(|| entries.iter().find(whole));
        let lines = entry.ok_or(OldBootError::NoEntry)?;
        let protocol = lines.iter().find_map(Line::protocol).ok_or(OldBootError::NoEntry)?;
        Self::checked(protocol, lines.iter().map(|line| line.loaded.clone()).collect())
    }

    /// Of an `extlinux.conf`.
    pub fn from_extlinux(text: &str) -> Result<Self, OldBootError> {
        let wanted = words_after(text, "default").and_then(|words| words.first().cloned());
        let mut labels = extlinux_labels(text);
        let is_default = |name: &str| wanted.as_deref().is_some_and(|w| w == name);
        labels.sort_by_key(|label| !is_default(&label.name));
        let found = labels.into_iter().find_map(Label::files);
        let (protocol, files) = found.ok_or(OldBootError::NoEntry)?;
        Self::checked(protocol, files)
    }

    /// Of a slot of ours. Its root is named by the UUID of its file system: under another table its
    /// partition has another PARTUUID.
    pub fn from_own(conf: &BootConf, files: &BootFiles, root: Guid) -> Result<Self, OldBootError> {
        let loaded = |path: &str, args: Vec<String>| Loaded { path: path.to_owned(), args };
        let words = |groups: &[&[String]]| groups.concat();
        let root = vec![format!("root=UUID={root}")];
        let kernel = words(&[&root, &conf.kernel_args, &conf.kernel_console]);
        let files = vec![
            loaded(files.xen(), words(&[&conf.xen_args, &conf.xen_console])),
            loaded(files.kernel(), kernel),
            loaded(files.initrd(), Vec::new()),
        ];
        Self::checked(Protocol::Multiboot2, files)
    }

    fn checked(protocol: Protocol, files: Vec<Loaded>) -> Result<Self, OldBootError> {
        for file in &files {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._+~-".contains(c);
            if !file.path.starts_with('/') || !file.path.chars().all(plain) {
                return Err(OldBootError::Path { path: file.path.clone() });
            }
            let bad = |word: &&String| {
                word.contains(['\'', '"', '\\']) || word.chars().any(char::is_control)
            };
            if let Some(word) = file.args.iter().find(bad) {
                return Err(OldBootError::Unquotable { word: word.clone() });
            }
        }
        let boot = Self { protocol, files };
        match boot.root() {
            Some(_) => Ok(boot),
            None => Err(OldBootError::NoRoot),
        }
    }

    /// What the kernel gets as `root=`.
    pub fn root(&self) -> Option<&str> {
        let mut args = self.files.iter().flat_map(|file| &file.args);
        args.find_map(|arg| arg.strip_prefix("root="))
    }

    /// The same with another root.
    #[must_use]
    pub fn with_root(&self, root: &str) -> Self {
        let mut boot = self.clone();
        for arg in boot.files.iter_mut().flat_map(|file| &mut file.args) {
            if arg.starts_with("root=") {
                *arg = format!("root={root}");
            }
        }
        boot
    }

    /// What the first program is told after this word.
    fn told(&self, word: &str) -> Option<&str> {
        self.files.first()?.args.iter().find_map(|arg| arg.strip_prefix(word))
    }

    /// CPUs that Xen is told to give dom0.
    pub fn dom0_vcpus(&self) -> Option<u32> {
        self.told("dom0_max_vcpus=")?.parse().ok()
    }

    /// Memory that Xen is told to give dom0, in MiB.
    pub fn dom0_memory_mib(&self) -> Option<u32> {
        let value = self.told("dom0_mem=")?;
        let first = value.split(',').next()?;
        let (number, unit) = first.split_at(first.len().checked_sub(1)?);
        let number: u32 = number.parse().ok()?;
        match unit {
            "M" | "m" => Some(number),
            "G" | "g" => number.checked_mul(1024),
            _ => None,
        }
    }

    /// A function of this name for the boot loader, which has set `root` to the file system. It
    /// comes back only when the system could not be started.
    pub fn function(&self, name: &str) -> String {
        let mut text = format!("function {name} {{\n");
        let mut put = |line: &str| writeln!(text, "{line}").expect("a String takes all");
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        put(&format!("  for file in {}; do", paths.join(" ")));
        put("    if [ -f ($root)$file ]; then");
        put("      true\n    else\n      echo \"xenhost: $file is missing\"\n      return 1");
        put("    fi\n  done");
        for (number, file) in (0..).zip(&self.files) {
            put(&format!("  if {}; then", self.command(number, file)));
        }
        put("  boot");
        for _ in &self.files {
            put("  fi");
        }
        put("  return 1\n}");
        text
    }

    fn command(&self, number: usize, file: &Loaded) -> String {
        let last = number.saturating_add(1) == self.files.len();
        let word = match (self.protocol, number, last) {
            (Protocol::Multiboot, 0, _) => "multiboot",
            (Protocol::Multiboot2, 0, _) => "multiboot2",
            (Protocol::Multiboot, _, _) => "module",
            (Protocol::Multiboot2, _, true) => "module2 --nounzip",
            (Protocol::Multiboot2, _, false) => "module2",
            (Protocol::Linux, 0, _) => "linux",
            (Protocol::Linux, _, _) => "initrd",
        };
        let is_kernel = file.args.iter().any(|arg| arg.starts_with("root="));
        let table = is_kernel.then(|| " $xenhost_lost".to_owned());
        let args = file.args.iter().map(|arg| format!(" '{arg}'")).chain(table);
        format!("{word} ($root){}{}", file.path, args.collect::<String>())
    }
}

/// `/xenhost/old.cfg` on the boot partition: how the dispatcher starts the old system where it is.
pub fn old_cfg(uuid: Guid, boot: &OldBoot) -> String {
    let start = boot.function("xenhost_start_old");
    format!(
        "# The system that was taken over, as its own boot loader started it.\n\
             set xenhost_old={uuid}\n{start}"
    )
}

/// `/boot/xenhost/slot.cfg` of the copy in slot b.
pub fn copy_slot_cfg(boot: &OldBoot) -> String {
    let start = boot.function("xenhost_start_0");
    format!(
        "# How this system was started before the host was taken over, with another root.\n\
             {start}xenhost_start_0\necho \"xenhost: the old system did not start\"\n"
    )
}

/// A command of a menu entry that loads something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    command: String,
    loaded: Loaded,
}

impl Line {
    fn protocol(&self) -> Option<Protocol> {
        match self.command.as_str() {
            "multiboot" => Some(Protocol::Multiboot),
            "multiboot2" => Some(Protocol::Multiboot2),
            "linux" | "linux16" | "linuxefi" => Some(Protocol::Linux),
            _ => None,
        }
    }
}

const MODULES: [&str; 5] = ["module", "module2", "initrd", "initrd16", "initrdefi"];

/// Xen, kernel and initrd, or kernel and initrd.
fn is_whole(entry: &[Line]) -> bool {
    let wanted = match entry.first().and_then(Line::protocol) {
        Some(Protocol::Multiboot | Protocol::Multiboot2) => 3,
        Some(Protocol::Linux) => 2,
        None => return false,
    };
    entry.len() == wanted && entry.iter().skip(1).all(|l| MODULES.contains(&l.command.as_str()))
}

/// What each entry loads, in the order of the file.
fn grub_entries(text: &str) -> Vec<Vec<Line>> {
    let mut entries: Vec<Vec<Line>> = Vec::new();
    for line in text.lines() {
        let words = shell_words(line);
        let Some((command, rest)) = words.split_first() else { continue };
        if command == "menuentry" {
            entries.push(Vec::new());
            continue;
        }
        let loads = MODULES.contains(&command.as_str()) || {
            let line = Line { command: command.clone(), loaded: empty() };
            line.protocol().is_some()
        };
        let Some(entry) = entries.last_mut().filter(|_| loads) else { continue };
        let mut rest = rest.iter().skip_while(|word| word.starts_with("--"));
        let Some(path) = rest.next() else { continue };
        // A device that the old loader names is the root that it has set.
        let path = path.split_once(')').map_or(path.as_str(), |(_, path)| path).to_owned();
        let loaded = Loaded { path, args: rest.cloned().collect() };
        entry.push(Line { command: command.clone(), loaded });
    }
    entries
}

const fn empty() -> Loaded {
    Loaded { path: String::new(), args: Vec::new() }
}

/// `set default=0`; a title is none of the numbers, and the first whole entry is taken then.
fn grub_default(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("set default="))?;
    line.trim_matches(['"', '\'', ' ']).parse().ok()
}

/// Words of a line; quotes hold a word together and go.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut within) = (String::new(), None, false);
    for c in line.trim().chars() {
        match (quote, c) {
            (None, '#') if !within => break,
            (None, '\'' | '"') => (quote, within) = (Some(c), true),
            (Some(q), _) if q == c => quote = None,
            (None, c) if c.is_whitespace() => {
                if within {
                    words.push(std::mem::take(&mut word));
                }
                within = false;
            }
            _ => {
                word.push(c);
                within = true;
            }
        }
    }
    if within {
        words.push(word);
    }
    words
}

/// One entry of an extlinux.conf.
#[derive(Clone, Debug, Default)]
struct Label {
    name: String,
    kernel: String,
    append: Vec<String>,
    initrd: Option<String>,
}

impl Label {
    fn files(self) -> Option<(Protocol, Vec<Loaded>)> {
        if self.kernel.ends_with("mboot.c32") {
            let files: Vec<Loaded> =
                self.append.split(|word| word == "---").filter_map(file).collect();
            return (files.len() == 3).then_some((Protocol::Multiboot, files));
        }
        let (mut args, mut initrd) = (Vec::new(), self.initrd);
        for word in self.append {
            match word.strip_prefix("initrd=") {
                Some(path) => initrd = Some(path.to_owned()),
                None => args.push(word),
            }
        }
        let kernel = Loaded { path: self.kernel, args };
        Some((Protocol::Linux, vec![kernel, Loaded { path: initrd?, args: Vec::new() }]))
    }
}

fn file(words: &[String]) -> Option<Loaded> {
    let (path, args) = words.split_first()?;
    Some(Loaded { path: path.clone(), args: args.to_vec() })
}

fn extlinux_labels(text: &str) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        let Some(key) = words.next().map(|key| key.to_ascii_lowercase()) else { continue };
        if key == "label" {
            labels.push(Label { name: words.next().unwrap_or_default(), ..Label::default() });
            continue;
        }
        let Some(label) = labels.last_mut() else { continue };
        match key.as_str() {
            "kernel" | "linux" | "com32" => label.kernel = words.next().unwrap_or_default(),
            "append" => label.append = words.collect(),
            "initrd" => label.initrd = words.next(),
            _ => {}
        }
    }
    labels
}

fn words_after(text: &str, key: &str) -> Option<Vec<String>> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case(key))?;
        Some(words.map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests;
