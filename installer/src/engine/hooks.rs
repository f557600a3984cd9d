//! The scripts of the answers, as steps of an installation.

use std::ffi::OsString;

use installer_core::answers::Stage;
use installer_core::event::Event;
use installer_core::facts::Firmware;
use installer_core::plan::Plan;
use installer_core::request::InstallRequest;
use partitioner::layout::Role;

use super::{StepError, Work};
use crate::hooks::Moment;

/// What every script finds in its environment.
pub fn about(plan: &Plan, request: &InstallRequest) -> Vec<(&'static str, OsString)> {
    let firmware = match plan.firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    };
    let mut env: Vec<(&'static str, OsString)> = vec![
        ("XENHOST_DISK", plan.disk.path.clone().into()),
        ("XENHOST_FIRMWARE", firmware.into()),
        ("XENHOST_HOSTNAME", request.system.hostname.as_str().into()),
        ("XENHOST_PLAN", plan.digest.clone().into()),
        ("XENHOST_VERSION", plan.release.version.clone().into()),
        ("XENHOST_BUILD", plan.release.build.clone().into()),
    ];
    if let Some(id) = &request.deployment_id {
        env.push(("XENHOST_DEPLOYMENT_ID", id.as_str().into()));
    }
    env
}

impl Work<'_> {
    pub(super) fn hooks(
        &mut self,
        stage: Stage,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), StepError> {
        let mut moment = Moment {
            stage,
            hooks: self.job.request.hooks.of(stage),
            env: about(self.plan(), self.job.request),
            args: Vec::new(),
            redactor: self.job.redactor,
        };
        match stage {
            Stage::Pre | Stage::StorageReady | Stage::Failed => {}
            Stage::FilesReady => return self.with_root(moment, tell),
            Stage::Post => moment.args.push("0".into()),
        }
        let scratch = self.host.scratch().to_owned();
        Ok(moment.run(self.host, &scratch, tell)?)
    }

    /// The root is a folder as long as the scripts run. What they leave is checked like the rest.
    fn with_root(
        &mut self,
        mut moment: Moment<'_>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), StepError> {
        let root = self.host.mount(Role::Root)?;
        moment.args.push(root.clone().into());
        moment.env.push(("XENHOST_TARGET", root.into()));
        let scratch = self.host.scratch().to_owned();
        let ran = moment.run(self.host, &scratch, tell);
        // Whatever the scripts did: nothing else may be done to a mounted file system.
        let unmounted = self.host.unmount();
        ran?;
        Ok(unmounted?)
    }
}
