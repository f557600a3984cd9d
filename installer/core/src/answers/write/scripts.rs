//! Scripts, with where their text comes from.

use super::super::{Hook, Hooks, OnFail, Script, ScriptSource, Stage};
use super::tree::{Map, Out, text};
use super::trust;

pub(super) fn hooks(hooks: &Hooks) -> Map {
    let mut map = Map::default();
    for (stage, hooks) in hooks.iter() {
        map.items(stage.word(), hooks.iter().map(|one| hook(stage, one)).collect());
    }
    map
}

fn hook(stage: Stage, hook: &Hook) -> Out {
    let mut map = source(&hook.source);
    if hook.timeout != Hook::TIMEOUT_DEFAULT {
        map.put("timeout", text(hook.timeout.to_string()));
    }
    if hook.on_fail != OnFail::default_of(stage) {
        map.put("on_fail", text(hook.on_fail.word()));
    }
    Out::Map(map)
}

pub(super) fn first_boot(script: &Script) -> Out {
    let mut map = source(&script.source);
    map.some("when", script.when.map(|when| text(when.word())));
    if script.timeout != Script::TIMEOUT_DEFAULT {
        map.put("timeout", text(script.timeout.to_string()));
    }
    Out::Map(map)
}

fn source(source: &ScriptSource) -> Map {
    let mut map = Map::default();
    match source {
        ScriptSource::Inline(script) => map.put("inline", text(script.expose())),
        ScriptSource::Web(web) => {
            map.put("url", text(web.url.expose()));
            map.some("sha256", web.sha256.as_ref().map(text));
            trust(&mut map, &web.trust);
        }
        ScriptSource::File { path, sha256 } => {
            map.put("path", text(path));
            map.some("sha256", sha256.as_ref().map(text));
        }
    }
    map
}
