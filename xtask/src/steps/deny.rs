//! Step `deny`: what the dependencies bring along, by the rules in deny.toml.

use super::{Context, Outcome, cargo};
use anyhow::Result;

/// The one member that depends on foreign implementations. It is not published.
const FOREIGN: &str = "zmtp-bench";
const RULES: [&str; 3] = ["bans", "licenses", "sources"];

pub(super) fn run(_: &Context) -> Result<Outcome> {
    // A cipher in two versions is refused in whatever users get. The peers that zmtp-bench tests against bring ciphers of
    // their own, which is the point of them, so that rule stops there; all others hold for it as well.
    cargo(&["deny", "--all-features", "--exclude", FOREIGN, "check"]).args(RULES).run()?;
    cargo(&["deny", "--all-features", "check", "--allow", "duplicate"]).args(RULES).run()?;
    // The advisory database comes over the network. Without one, nothing can be said about advisories, and a change
    // is not at fault for it; the workflow on GitHub always checks them.
    let fetch = cargo(&["deny", "fetch", "db"]);
    fetch.announce();
    let (fetched, said) = fetch.output()?;
    if !fetched {
        println!("{said}");
        return Ok(Outcome::PassedExcept(
            "ADVISORIES WERE NOT CHECKED: their database could not be fetched".to_owned(),
        ));
    }
    cargo(&["deny", "--offline", "--all-features", "check", "advisories"]).run()?;
    Ok(Outcome::Passed)
}
