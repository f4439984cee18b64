//! Everybody who was compiled in can do what he says he can: each scenario once, with few messages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use serde_json::Value;

const MESSAGES: &str = "40";
const CONNECTIONS: &str = "4";

fn measure(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_measure")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "measure {}: {said}", arguments.join(" "));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn texts<'a>(contender: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    contender[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap())
}

/// With how many connections, of the number that the test is for.
fn connections(contender: &Value) -> &'static str {
    if contender["connections"].as_u64().unwrap() > 1 { CONNECTIONS } else { "1" }
}

#[test]
fn every_contender_can_do_every_scenario_that_it_claims() {
    let contenders = measure(&["list"]);
    for contender in contenders.as_array().unwrap() {
        let [peer, mode] = ["peer", "mode"].map(|key| contender[key].as_str().unwrap());
        for scenario in texts(contender, "scenarios") {
            // These two are with one peer.
            let connections = if matches!(scenario, "round-trip" | "visits") { "1" } else { connections(contender) };
            for mechanism in texts(contender, "mechanisms") {
                let mut arguments = vec!["run", "--peer", peer, "--mode", mode, "--scenario", scenario];
                arguments.extend(["--mechanism", mechanism, "--connections", connections, "--messages", MESSAGES]);
                let figures = measure(&arguments);
                let each = if scenario == "fan-out" { connections.parse().unwrap() } else { 1 };
                let expected = if scenario == "idle" { connections } else { MESSAGES }.parse::<u64>().unwrap() * each;
                assert_eq!(figures["messages"], expected, "{}", arguments.join(" "));
                let timed = matches!(scenario, "round-trip" | "visits");
                assert_eq!(figures.get("latency").is_some(), timed, "{}", arguments.join(" "));
            }
        }
    }
}

#[test]
fn several_bursts_over_several_connections_come_to_an_end() {
    // By time, so that bursts of many lengths come first.
    for mode in ["batch,borrowed", "feed,borrowed"] {
        let arguments = ["run", "--peer", "zmtp", "--mode", mode, "--scenario", "throughput", "--connections", "30"];
        let figures = measure(&[&arguments[..], &["--time", "20"]].concat());
        assert!(figures["messages"].as_u64().unwrap() >= 30, "{mode}");
    }
}
