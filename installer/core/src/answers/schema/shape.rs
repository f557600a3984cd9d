//! The shape of the file. No value of these types is ever made.
#![expect(dead_code, reason = "only their shape is used")]
#![expect(clippy::struct_field_names, reason = "the names of keys are given")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

mod network;
mod overrides;
mod report;
mod scripts;

use network::Network;
use overrides::Override;
use report::{Finish, Report};
use scripts::{Hooks, Script};

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum AnswerFile {
    Install(Box<Install>),
    Upgrade(Box<Upgrade>),
    Rollback(Box<Rollback>),
}

#[derive(JsonSchema)]
enum SchemaName {
    #[schemars(rename = "xenhost/v1")]
    V1,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum InstallMode {
    Install,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum UpgradeMode {
    Upgrade,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum RollbackMode {
    Rollback,
}

/// A fresh installation.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Install {
    schema: SchemaName,
    mode: InstallMode,
    /// A machine that carries this name already is left alone.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    deployment_id: Option<String>,
    machine: Option<Machine>,
    disks: Disks,
    safety: Option<Safety>,
    layout: Layout,
    storage: Option<Storage>,
    /// What may be destroyed on the host disk. Default: nothing.
    on_existing: Option<OnExisting>,
    source: Option<Source>,
    network: Network,
    system: System,
    /// Absent: the console asks for root's password at the first boot.
    access: Option<Access>,
    xen: Option<Xen>,
    boot: Option<Boot>,
    health: Option<Health>,
    hooks: Option<Hooks>,
    /// Scripts that run once in the installed host.
    #[schemars(length(max = 32))]
    first_boot: Option<Vec<Script>>,
    /// Who is told how it went.
    report: Option<Report>,
    finish: Option<Finish>,
    /// Other answers for some machines.
    #[schemars(length(max = 256))]
    overrides: Option<Vec<Override>>,
}

/// A new release into the other slot of an installed host.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Upgrade {
    schema: SchemaName,
    mode: UpgradeMode,
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    deployment_id: Option<String>,
    machine: Option<Machine>,
    disks: Disks,
    safety: Option<Safety>,
    source: Option<Source>,
    upgrade: Option<UpgradeAnswers>,
    health: Option<Health>,
    report: Option<Report>,
    finish: Option<Finish>,
}

/// Back to the system in the other slot.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollback {
    schema: SchemaName,
    mode: RollbackMode,
    machine: Option<Machine>,
    disks: Option<Disks>,
    report: Option<Report>,
    finish: Option<Finish>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UpgradeAnswers {
    /// `modern` permits to divide the disk of a host with slots of 4 GiB anew.
    layout: Option<UpgradeLayout>,
    /// Paths that are carried over beside the usual ones; not of a host of another product.
    keep: Option<Vec<HostPath>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum UpgradeLayout {
    Keep,
    Modern,
}

/// Which machine the file is for: every rule must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Machine {
    system_uuid: Option<Word>,
    serial: Option<Word>,
    asset_tag: Option<Word>,
    /// With * and ?.
    vendor: Option<Word>,
    /// With * and ?.
    product: Option<Word>,
    mac: Option<Mac>,
    firmware: Option<Firmware>,
    min_memory: Option<Size>,
    #[schemars(range(min = 1, max = 4096))]
    min_cpus: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Firmware {
    Uefi,
    Bios,
    Any,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Safety {
    /// The digest of the plan that was looked at.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    plan: Option<String>,
    /// Names of disks that are never written.
    protect: Option<Vec<Word>>,
}

/// Disks by names of your own. Exactly one disk must match all rules of a name.
#[derive(JsonSchema)]
struct Disks(#[schemars(length(min = 1))] BTreeMap<String, Disk>);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Disk {
    serial: Option<Word>,
    wwn: Option<Word>,
    by_id: Option<Word>,
    by_path: Option<Word>,
    path: Option<Word>,
    model: Option<Word>,
    /// ">=400GB", "<2TB", "==60GiB" or "200GiB..1TiB".
    size: Option<SizeRule>,
    transport: Option<Word>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Layout {
    target: Word,
    name: Option<LayoutName>,
    boot_size: Option<Size>,
    /// Names and types of partitions as existing hosts have them.
    compat: Option<CompatName>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum CompatName {
    None,
    Xenserver,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum LayoutName {
    Auto,
    Modern,
    Legacy,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Storage {
    /// The rest of the host disk. Default: a partition that nothing is put on.
    sr: Option<Sr>,
    /// Disks, by their name in `disks`, that become a repository each. They must be blank.
    disks: Option<BTreeMap<String, SrKind>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum SrKind {
    Lvm,
    Ext,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Sr {
    Partition,
    None,
    Lvm,
    Ext,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum OnExisting {
    Refuse,
    ReplaceOwn,
    Wipe,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Source {
    /// `medium`, or the address of the folder with release.json. Over http, `sha256` is needed.
    #[schemars(regex(pattern = r"^(medium|[Hh][Tt][Tt][Pp][Ss]?://.+)$"))]
    image: Option<String>,
    /// Of release.json, against which all else is held.
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"))]
    sha256: Option<String>,
    /// The certificates that are trusted in place of Debian's: a file, by its whole path, of the
    /// medium or the installer environment.
    #[schemars(regex(pattern = r"^/"))]
    ca: Option<String>,
    /// SHA-256 of the server's public key, in place of certificates.
    #[schemars(regex(pattern = r"^(sha256:)?[0-9a-fA-F]{64}$"))]
    key: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Medium {
    Medium,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct System {
    hostname: Hostname,
    /// A name of the time zone database. Default: Etc/UTC.
    timezone: Option<Word>,
    /// A name of the X keyboard database. Default: us.
    keymap: Option<Word>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Access {
    root_password: Option<RootPassword>,
    ssh_keys: Option<Vec<SshKey>>,
    ssh_password_login: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum RootPassword {
    Ask(AskWord),
    Way(Way),
}

/// Asked on the console at the first boot.
#[derive(JsonSchema)]
enum AskWord {
    #[schemars(rename = "!!")]
    Ask,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", deny_unknown_fields)]
enum Way {
    /// yescrypt or SHA-512 crypt, or !!.
    Hash(#[schemars(regex(pattern = r"^(\$6\$|\$y\$|!!$)"))] String),
    Plain(#[schemars(length(min = 8))] String),
    File(#[schemars(regex(pattern = r"^/"))] String),
    Env(#[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"))] String),
    Locked(#[schemars(extend("const" = true))] bool),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Xen {
    dom0_memory: Option<Size>,
    #[schemars(range(min = 1, max = 4096))]
    dom0_vcpus: Option<u32>,
    args: Option<Vec<Argument>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Boot {
    /// com1 or com2, and a speed: "com2,115200".
    #[schemars(regex(pattern = r"^com[12](,[0-9]+)?$"))]
    serial: Option<String>,
    kernel_args: Option<Vec<Argument>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Health {
    /// How long a host may take until it is well, 1m to 14m.
    #[schemars(regex(pattern = r"^([1-9]|1[0-4])m$"))]
    timeout: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum FinishAction {
    Reboot,
    Poweroff,
    Halt,
    None,
}

/// A path of the host.
#[derive(JsonSchema)]
struct HostPath(#[schemars(regex(pattern = r"^/[^/]"))] String);

/// Text that is not empty.
#[derive(JsonSchema)]
struct Word(#[schemars(regex(pattern = r"\S"))] String);

#[derive(JsonSchema)]
struct Mac(#[schemars(regex(pattern = r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"))] String);

/// A number with its unit: 512MiB, 400GB.
#[derive(JsonSchema)]
struct Size(#[schemars(regex(pattern = r"^\s*[0-9]+ ?(KiB|MiB|GiB|TiB|KB|MB|GB|TB)\s*$"))] String);

#[derive(JsonSchema)]
struct SizeRule(
    #[schemars(regex(
        pattern = r"^\s*((>=|<=|==|>|<)\s*|[0-9]+ ?[KMGT]i?B\s*\.\.\s*)[0-9]+ ?[KMGT]i?B\s*$"
    ))]
    String,
);

#[derive(JsonSchema)]
struct Hostname(
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9]+(-+[A-Za-z0-9]+)*(\.[A-Za-z0-9]+(-+[A-Za-z0-9]+)*)*$"),
        length(max = 64)
    )]
    String,
);

/// One line of a .pub file, without options.
#[derive(JsonSchema)]
struct SshKey(
    #[schemars(regex(pattern = r"^\s*(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+"))] String,
);

#[derive(JsonSchema)]
struct Argument(#[schemars(regex(pattern = r"^[!$-&(-\[\]-~]{1,256}$"))] String);
