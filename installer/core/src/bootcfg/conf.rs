//! `/etc/xenhost/boot.conf`: the arguments of Xen and of the dom0 kernel, for people to change.

use partitioner::partuuid::PartUuid;

use super::root_argument;
use crate::dom0_size::Dom0Size;

/// The file, as lines of `key=value`. Invariant: every argument can stand in single quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootConf {
    /// What the kernel gets as `root=`.
    pub root: String,
    pub xen_args: Vec<String>,
    /// Consoles are apart, since the boot menu's console variants replace them.
    pub xen_console: Vec<String>,
    pub kernel_args: Vec<String>,
    pub kernel_console: Vec<String>,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootConfError {
    #[error("boot.conf line {line}: `{text}` is not KEY=VALUE")]
    NotAPair { line: usize, text: String },
    #[error("boot.conf line {line}: unknown key `{key}`; known: {}", KEYS.join(", "))]
    UnknownKey { line: usize, key: String },
    #[error("boot.conf line {line}: `{key}` is there twice")]
    Twice { line: usize, key: String },
    #[error("boot.conf has no `{key}`")]
    Missing { key: &'static str },
    #[error("boot.conf line {line}: `{word}` holds a quote or a control character")]
    Unquotable { line: usize, word: String },
    #[error("boot.conf line {line}: root `{root}` is not one word")]
    Root { line: usize, root: String },
}

const KEYS: [&str; 5] = ["root", "xen", "xen_console", "kernel", "kernel_console"];

impl BootConf {
    /// What an installation writes.
    pub fn new(root_partuuid: PartUuid, dom0: Dom0Size) -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Self {
            root: root_argument(root_partuuid),
            xen_args: words(&format!("{} ucode=scan", dom0.xen_args())),
            xen_console: words("com1=115200,8n1 console=com1,vga"),
            // A panic reboots, so that a host on trial uses up its tries without a hand on it.
            kernel_args: words("ro panic=10"),
            // The last console is /dev/console: what systemd says reaches the serial line too.
            kernel_console: words("console=tty0 console=hvc0"),
        }
    }

    pub fn parse(text: &str) -> Result<Self, BootConfError> {
        let mut found: [Option<(usize, &str)>; 5] = [None; 5];
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some((key, value)) = text.split_once('=') else {
                return Err(BootConfError::NotAPair { line, text: text.to_owned() });
            };
            let key = key.trim_end();
            let slot = KEYS.iter().zip(&mut found).find(|(name, _)| **name == key);
            let Some((_, slot)) = slot else {
                return Err(BootConfError::UnknownKey { line, key: key.to_owned() });
            };
            if slot.replace((line, value.trim())).is_some() {
                return Err(BootConfError::Twice { line, key: key.to_owned() });
            }
        }
        let [root, xen, xen_console, kernel, kernel_console] = found;
        let (line, root) = root.ok_or(BootConfError::Missing { key: "root" })?;
        if root.is_empty() || root.contains(char::is_whitespace) {
            return Err(BootConfError::Root { line, root: root.to_owned() });
        }
        quotable(line, root)?;
        Ok(Self {
            root: root.to_owned(),
            xen_args: words("xen", xen)?,
            xen_console: words("xen_console", xen_console)?,
            kernel_args: words("kernel", kernel)?,
            kernel_console: words("kernel_console", kernel_console)?,
        })
    }

    pub fn render(&self) -> String {
        format!(
            "# Arguments of Xen and of the dom0 kernel. After a change, run: update-grub\n\
             # The console arguments are those of the normal boot entries; the boot menu offers\n\
             # others.\n\
             root={}\n\
             xen={}\n\
             xen_console={}\n\
             kernel={}\n\
             kernel_console={}\n",
            self.root,
            self.xen_args.join(" "),
            self.xen_console.join(" "),
            self.kernel_args.join(" "),
            self.kernel_console.join(" "),
        )
    }
}

fn words(key: &'static str, found: Option<(usize, &str)>) -> Result<Vec<String>, BootConfError> {
    let (line, text) = found.ok_or(BootConfError::Missing { key })?;
    text.split_whitespace().map(|word| quotable(line, word).map(|()| word.to_owned())).collect()
}

fn quotable(line: usize, word: &str) -> Result<(), BootConfError> {
    if word.contains(['\'', '"', '\\']) || word.chars().any(char::is_control) {
        return Err(BootConfError::Unquotable { line, word: word.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: PartUuid =
        PartUuid::Gpt(partitioner::ids::Guid::from_u128(0x0102_0304_0506_4708_890a_0b0c_0d0e_0f10));

    fn conf() -> BootConf {
        BootConf::new(PART, Dom0Size { memory_mib: 1168, vcpus: 2 })
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = conf().render();
        assert!(text.contains("\nroot=PARTUUID=01020304-0506-4708-890a-0b0c0d0e0f10\n"));
        assert!(text.contains("\nxen=dom0_mem=1168M,max:1168M dom0_max_vcpus=2 "));
        assert_eq!(BootConf::parse(&text), Ok(conf()));
    }

    #[track_caller]
    fn error(change: impl Fn(String) -> String, want: &str) {
        let error = BootConf::parse(&change(conf().render())).unwrap_err();
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn mistakes_have_their_line() {
        error(
            |t| t.replace("\nkernel=", "\nkernal="),
            "boot.conf line 7: unknown key `kernal`; \
              known: root, xen, xen_console, kernel, kernel_console",
        );
        error(|t| format!("{t}xen=a\n"), "boot.conf line 9: `xen` is there twice");
        error(|t| format!("{t}nonsense\n"), "boot.conf line 9: `nonsense` is not KEY=VALUE");
        error(
            |t| t.replace("ro panic", "'ro panic"),
            "boot.conf line 7: `'ro` holds a quote or a \
              control character",
        );
        error(
            |t| t.replace("root=PARTUUID", "root=x PARTUUID"),
            "boot.conf line 4: root \
              `x PARTUUID=01020304-0506-4708-890a-0b0c0d0e0f10` is not one word",
        );
        error(|t| t.replace("\nkernel=ro panic=10", ""), "boot.conf has no `kernel`");
    }

    #[test]
    fn empty_arguments_are_none() {
        let text = conf().render().replace("kernel=ro panic=10", "kernel=");
        assert_eq!(BootConf::parse(&text).unwrap().kernel_args, Vec::<String>::new());
    }
}
