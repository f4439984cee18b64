//! Lines and messages.

use crate::cat::Cat;

#[test]
fn hex_shows_every_part() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo --hex");
    let lines = "61,,62\n\n,\n00ff0a2c\nAB\n";
    Cat::fed(&endpoint, "-t REQ --hex", lines).end().expect(0, &["61,,62", "", ",", "00ff0a2c", "ab"]);
}

#[test]
fn what_one_side_writes_in_hex_the_other_reads_in_parts() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 3 --part-sep |");
    Cat::fed(&endpoint, "-t PUSH --hex", "61,,62\n\n63\n").end().expect(0, &[]);
    pull.end_by_itself().expect(0, &["a||b", "", "c"]);
}

#[test]
fn a_tab_separates_parts_by_default() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 4 --hex");
    Cat::fed(&endpoint, "-t PUSH", "a\tb\n\n\t\na,b\n").end().expect(0, &[]);
    pull.end_by_itself().expect(0, &["61,62", "", ",", "612c62"]);
}

#[test]
fn another_separator_leaves_tabs_alone() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 2 --hex");
    Cat::fed(&endpoint, "-t PUSH --part-sep --", "a--b\tc\n-\n").end().expect(0, &[]);
    pull.end_by_itself().expect(0, &["61,620963", "2d"]);
}

#[test]
fn a_line_of_16_mib_passes() {
    let (_rep, endpoint) = Cat::bind("-t REP --echo");
    let mut req = Cat::connect(&endpoint, "-t REQ");
    let mut line = vec![b'x'; 16 << 20];
    line.push(b'\n');
    req.write(&line);
    line.pop();
    assert!(req.octets() == line, "the line came back changed");
    req.end().expect(0, &[]);
}

#[test]
fn many_lines_arrive_in_order() {
    let (pull, endpoint) = Cat::bind("-t PULL -n 20000");
    let input: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    Cat::fed(&endpoint, "-t PUSH", &input).end().expect(0, &[]);
    let ended = pull.end_by_itself();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.iter().map(String::as_str).eq(input.lines()), "lines are missing or out of order");
}

#[test]
fn a_line_that_is_no_hex_ends_the_program_after_those_before_it() {
    for bad in ["6", "xy", "6 1", "61,2"] {
        let (pull, endpoint) = Cat::bind("-t PULL");
        let push = Cat::fed(&endpoint, "-t PUSH --hex", &format!("6f6b\n{bad}\n6f6b\n"));
        let ended = push.end();
        ended.expect(2, &[]);
        ended.expect_said("failed stage=input cause=");
        assert_eq!(pull.line(), "ok");
        pull.event("closed ");
    }
}
