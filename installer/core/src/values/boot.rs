//! What the boot loader, Xen and bless are told.

use std::fmt;

use serde::Serialize;

use super::ValueError;

/// One argument of Xen or of the dom0 kernel. Invariant: it can stand in single quotes in GRUB's
/// script and in `boot.conf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BootArg(String);

impl BootArg {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = |why: &str| Err(ValueError::new(format!("`{text}` is not one argument: {why}")));
        if text.is_empty() || 256 < text.len() {
            return no("1 to 256 characters are");
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return no("it holds a space or a character that is not ASCII");
        }
        if text.contains(['\'', '"', '\\', '#']) {
            return no("it holds a quote, a backslash or a #");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `=`.
    pub fn name(&self) -> &str {
        self.0.split_once('=').map_or(self.as_str(), |(name, _)| name)
    }
}

/// A serial line that Xen and dom0 speak on: `com1,115200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SerialConsole {
    /// 1 or 2.
    port: u8,
    /// Bits per second.
    speed: u32,
}

const SPEEDS: [u32; 7] = [9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 921_600];

impl SerialConsole {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = || {
            ValueError::new(format!("`{text}` is not a serial console"))
                .hint("for example com1 or com2,115200")
        };
        let (port, speed) = text.split_once(',').unwrap_or((text, "115200"));
        let port = match port {
            "com1" => 1,
            "com2" => 2,
            _ => return Err(no()),
        };
        let speed = speed.parse().ok().filter(|n| SPEEDS.contains(n)).ok_or_else(|| {
            let words = SPEEDS.map(|n| n.to_string()).join(", ");
            no().hint(format!("speeds: {words}"))
        })?;
        Ok(Self { port, speed })
    }

    /// The arguments for Xen.
    pub fn xen_args(self) -> String {
        let Self { port, speed } = self;
        format!("com{port}={speed},8n1 console=com{port},vga")
    }
}

impl fmt::Display for SerialConsole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "com{},{}", self.port, self.speed)
    }
}

/// A time in whole minutes, written as `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Minutes(u32);

impl Minutes {
    /// From `low` to `high` minutes.
    pub fn parse(text: &str, low: u32, high: u32) -> Result<Self, ValueError> {
        let digits = text.strip_suffix('m').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|n| n.parse().ok()) {
            Some(n) if (low..=high).contains(&n) => Ok(Self(n)),
            Some(n) => Err(ValueError::new(format!("{n}m is not from {low}m to {high}m"))),
            None => Err(ValueError::new(format!("`{text}` is not a time in minutes"))
                .hint("for example 10m")),
        }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["com1,115200", "com2,9600"] {
            assert_eq!(SerialConsole::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            SerialConsole::parse("com1").unwrap().xen_args(),
            "com1=115200,8n1 console=com1,vga"
        );
        for bad in ["com3", "com1,", "com1,115201", "ttyS0"] {
            assert!(SerialConsole::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Minutes::parse("14m", 1, 14).unwrap().get(), 14);
        for bad in ["15m", "0m", "10", "10s", "+3m", "m"] {
            assert!(Minutes::parse(bad, 1, 14).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_argument_cannot_leave_its_quotes() {
        for bad in ["", "a b", "it's", "a\"", "a\\", "x\n", "\u{e4}", "a#b"] {
            assert!(BootArg::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(BootArg::parse("iommu=1").unwrap().name(), "iommu");
    }
}
