//! What criterion measured, from the files that it leaves behind.

use crate::bench::numbers::scaled;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One benchmark's result; times are nanoseconds per iteration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    /// `group/function/parameter`, as criterion prints it.
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) median: f64,
    /// The bounds of the median's confidence interval.
    pub(crate) low: f64,
    pub(crate) high: f64,
    work: Vec<Work>,
}

/// What one iteration does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Work {
    Elements(f64),
    Bytes(f64),
}

/// The results below criterion's folder that were written at `since` or later, by name.
pub(crate) fn read(criterion: &Path, since: SystemTime) -> Result<Vec<Measurement>> {
    let mut found = Vec::new();
    for estimates in estimates_below(criterion)? {
        let written = estimates.metadata().and_then(|metadata| metadata.modified());
        if written.with_context(|| format!("cannot look at {}", estimates.display()))? < since {
            continue;
        }
        let benchmark = json(&estimates.with_file_name("benchmark.json"))?;
        let measurement = measurement(&benchmark, &json(&estimates)?);
        found.push(measurement.with_context(|| format!("{} is not as criterion 0.8 writes it", estimates.display()))?);
    }
    found.sort_by_cached_key(|measurement| sort_key(&measurement.name));
    Ok(found)
}

impl Measurement {
    /// A result for tests of what is made of results.
    #[cfg(test)]
    pub(crate) fn timed(group: &str, name: &str, median: f64) -> Self {
        let name = format!("{group}/{name}");
        Self { name, group: group.to_owned(), median, low: median, high: median, work: Vec::new() }
    }

    /// Work per second, in words: `12.3 M/s`, `1.2 GB/s`.
    pub(crate) fn rates(&self) -> Vec<String> {
        let per_second = |amount: f64| amount * 1e9 / self.median;
        let rate = |work: &Work| match *work {
            Work::Elements(amount) => format!("{}/s", scaled(per_second(amount), "")),
            Work::Bytes(amount) => format!("{}/s", scaled(per_second(amount), "B")),
        };
        self.work.iter().map(rate).collect()
    }
}

fn measurement(benchmark: &Value, estimates: &Value) -> Option<Measurement> {
    let text = |key: &str| Some(benchmark.get(key)?.as_str()?.to_owned());
    let median = estimates.get("median")?;
    let interval = median.get("confidence_interval")?;
    let throughput = benchmark.get("throughput")?;
    // One, several, or null.
    let throughputs = throughput.as_array().map_or(std::slice::from_ref(throughput), Vec::as_slice);
    Some(Measurement {
        name: text("full_id")?,
        group: text("group_id")?,
        median: median.get("point_estimate")?.as_f64()?,
        low: interval.get("lower_bound")?.as_f64()?,
        high: interval.get("upper_bound")?.as_f64()?,
        work: throughputs.iter().flat_map(work).collect(),
    })
}

fn work(throughput: &Value) -> Vec<Work> {
    let amount = |value: Option<&Value>| value.and_then(Value::as_f64);
    let both = throughput.get("ElementsAndBytes");
    let within_both = |key: &str| amount(both.and_then(|both| both.get(key)));
    let elements = amount(throughput.get("Elements")).or(within_both("elements"));
    let bytes = amount(throughput.get("Bytes").or(throughput.get("BytesDecimal"))).or(within_both("bytes"));
    elements.map(Work::Elements).into_iter().chain(bytes.map(Work::Bytes)).collect()
}

/// Every `new/estimates.json` below `dir`.
fn estimates_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut unvisited = vec![dir.to_owned()];
    while let Some(dir) = unvisited.pop() {
        let entries = std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                unvisited.push(path);
            } else if path.ends_with("new/estimates.json") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Names in the order in which people count: `recv/64` before `recv/1024`.
fn sort_key(name: &str) -> Vec<(String, u64)> {
    let part = |part: &str| match part.parse() {
        Ok(number) => (String::new(), number),
        Err(_) => (part.to_owned(), 0),
    };
    name.split('/').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample(throughput: &Value) -> Option<Measurement> {
        let benchmark = json!({
            "group_id": "codec/encode", "function_id": "short", "value_str": "64",
            "throughput": throughput, "full_id": "codec/encode/short/64",
        });
        let estimates = json!({
            "median": {
                "confidence_interval": {"confidence_level": 0.95, "lower_bound": 9.5, "upper_bound": 10.5},
                "point_estimate": 10.0, "standard_error": 0.1,
            },
        });
        measurement(&benchmark, &estimates)
    }

    #[test]
    fn a_measurement_is_the_median_with_its_interval() {
        let measurement = sample(&Value::Null).unwrap();
        assert_eq!(measurement.name, "codec/encode/short/64");
        assert_eq!(measurement.group, "codec/encode");
        assert_eq!((measurement.low, measurement.median, measurement.high), (9.5, 10.0, 10.5));
        assert!(measurement.rates().is_empty());
    }

    #[test]
    fn each_kind_of_throughput_becomes_a_rate() {
        let rates = |throughput| sample(&throughput).unwrap().rates();
        assert_eq!(rates(json!({"Elements": 1})), ["100 M/s"]);
        assert_eq!(rates(json!({"Bytes": 64})), ["6.40 GB/s"]);
        assert_eq!(rates(json!([{"BytesDecimal": 64}])), ["6.40 GB/s"]);
        assert_eq!(rates(json!({"ElementsAndBytes": {"elements": 2, "bytes": 32}})), ["200 M/s", "3.20 GB/s"]);
    }

    #[test]
    fn a_file_of_another_shape_is_not_guessed_at() {
        assert_eq!(measurement(&json!({}), &json!({})), None);
    }

    #[test]
    fn parameters_sort_as_numbers() {
        let mut names = ["a/b/1024", "a/b/64", "a/a"];
        names.sort_by_cached_key(|name| sort_key(name));
        assert_eq!(names, ["a/a", "a/b/64", "a/b/1024"]);
    }

    #[test]
    fn only_results_of_this_run_are_read() {
        let dir = std::env::temp_dir().join(format!("xtask-results-{}", std::process::id()));
        let new = dir.join("codec_encode/short/64/new");
        std::fs::create_dir_all(&new).unwrap();
        let benchmark = json!({"group_id": "g", "full_id": "g/f", "throughput": null});
        let estimates = json!({"median": {
            "point_estimate": 1.0, "confidence_interval": {"lower_bound": 1.0, "upper_bound": 1.0},
        }});
        std::fs::write(new.join("benchmark.json"), benchmark.to_string()).unwrap();
        std::fs::write(new.join("estimates.json"), estimates.to_string()).unwrap();
        let written = new.join("estimates.json").metadata().unwrap().modified().unwrap();
        let later = written + std::time::Duration::from_secs(1);
        let found = [read(&dir, written), read(&dir, later)].map(|found| found.map(|found| found.len()));
        std::fs::remove_dir_all(&dir).unwrap();
        let [this_run, earlier_run] = found;
        assert_eq!(this_run.unwrap(), 1);
        assert_eq!(earlier_run.unwrap(), 0);
    }
}
