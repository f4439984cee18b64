//! When the program ends, and with which exit code.

use crate::cat::Cat;
use crate::raw;

#[cfg(unix)]
#[test]
fn told_to_stop_it_is_done() {
    for signal in ["TERM", "INT"] {
        let (binder, endpoint) = Cat::bind("-t REP --echo");
        let connector = Cat::connect(&endpoint, "-t DEALER");
        connector.signal(signal);
        connector.end_by_itself().expect(0, &[]);
        binder.signal(signal);
        binder.end_by_itself().expect(0, &[]);
    }
}

#[test]
fn a_connector_waits_for_its_binder() {
    let (listener, endpoint) = raw::listener();
    drop(listener);
    let connector = Cat::fed(&endpoint, "-t REQ", "patience\n");
    let binder = Cat::run(&format!("--bind {endpoint} -t REP --echo -n 1"));
    connector.end().expect(0, &["patience"]);
    binder.end_by_itself().expect(0, &["patience"]);
}

#[test]
fn a_dealer_is_done_at_the_end_of_stdin() {
    let (rep, endpoint) = Cat::bind("-t ROUTER -n 1");
    Cat::fed(&endpoint, "-t DEALER --identity d", "hello\n").end().expect(0, &[]);
    rep.end_by_itself().expect(0, &["d\thello"]);
}

#[test]
fn after_the_end_of_stdin_counted_messages_are_waited_for() {
    let (_echo, endpoint) = Cat::bind("-t DEALER --echo");
    Cat::fed(&endpoint, "-t DEALER -n 2", "1\n2\n3\n").end().expect(0, &["1", "2"]);
}

#[test]
fn quit_after_waits_for_that_time() {
    let (_echo, endpoint) = Cat::bind("-t DEALER --echo");
    Cat::fed(&endpoint, "-t DEALER -q 1.5", "1\n2\n").end().expect(0, &["1", "2"]);
}

#[test]
fn quit_after_ends_a_type_that_only_receives() {
    let (_push, endpoint) = Cat::bind("-t PUSH");
    Cat::connect(&endpoint, "-t PULL -q 0").end().expect(0, &[]);
}

#[test]
fn the_end_of_stdin_means_nothing_to_a_type_that_only_receives() {
    let (mut push, endpoint) = Cat::bind("-t PUSH");
    let mut pull = Cat::connect(&endpoint, "-t PULL -n 1");
    pull.close();
    push.write(b"hello\n");
    pull.end().expect(0, &["hello"]);
}

#[cfg(unix)]
#[test]
fn quit_after_minus_one_stays_for_ever() {
    let (echo, endpoint) = Cat::bind("-t DEALER --echo");
    let mut dealer = Cat::connect(&endpoint, "-t DEALER -q -1");
    dealer.write(b"1\n");
    dealer.close();
    assert_eq!(dealer.line(), "1");
    // Whatever it would do at the end of stdin it has had the time to do, when another one has come and gone.
    Cat::fed(&endpoint, "-t DEALER -n 1", "2\n").end().expect(0, &["2"]);
    dealer.signal("TERM");
    dealer.end().expect(0, &[]);
    drop(echo);
}

#[test]
fn a_rep_ends_with_its_stdin_when_it_owes_nothing() {
    let (mut rep, endpoint) = Cat::bind("-t REP");
    rep.write(b"answer\n");
    Cat::fed(&endpoint, "-t REQ", "question\n").end().expect(0, &["answer"]);
    rep.end().expect(0, &["question"]);
}

#[test]
fn a_rep_with_a_count_answers_the_last_request() {
    let (mut rep, endpoint) = Cat::bind("-t REP -n 1");
    let mut req = Cat::connect(&endpoint, "-t REQ");
    req.write(b"question\n");
    assert_eq!(rep.line(), "question");
    rep.write(b"answer\n");
    assert_eq!(req.line(), "answer");
    rep.end_by_itself().expect(0, &[]);
}

#[test]
fn a_connection_lost_with_work_undone_is_exit_code_1() {
    let (listener, endpoint) = raw::listener();
    let req = Cat::fed(&endpoint, "-t REQ", "anybody?\n");
    let (stream, _) = listener.accept().unwrap();
    raw::shake_hands(&stream, "REP");
    assert_eq!(raw::frame(&stream), (1, Vec::new()));
    assert_eq!(raw::frame(&stream), (0, b"anybody?".to_vec()));
    drop(stream);
    let ended = req.end();
    ended.expect(1, &[]);
    ended.expect_said("failed stage=connection cause=");
}

#[test]
fn too_few_messages_are_exit_code_1() {
    let (mut push, endpoint) = Cat::bind("-t PUSH");
    let pull = Cat::connect(&endpoint, "-t PULL -n 2");
    push.write(b"only one\n");
    push.end().expect(0, &[]);
    let ended = pull.end_by_itself();
    ended.expect(1, &["only one"]);
    ended.expect_said("failed stage=connection cause=");
}

#[test]
fn a_publisher_that_closes_ends_a_sub_that_counts_nothing() {
    let (mut publisher, endpoint) = Cat::bind("-t PUB");
    let subscriber = Cat::connect(&endpoint, "-t SUB");
    publisher.event("ready ");
    publisher.write(b"news\n");
    publisher.end().expect(0, &[]);
    subscriber.end_by_itself().expect(0, &["news"]);
}

#[test]
fn a_stdout_that_nobody_reads_ends_it_quietly() {
    let (mut pull, endpoint) = Cat::bind("-t PULL");
    let mut push = Cat::connect(&endpoint, "-t PUSH");
    push.write(b"first\n");
    assert_eq!(pull.line(), "first");
    pull.stop_reading();
    // The reading thread notices at the next line, zmtpcat at the one after that.
    while !pull.has_ended() {
        if !push.try_write(b"more\n") {
            break;
        }
    }
    let ended = pull.end_by_itself();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.iter().all(|line| !line.starts_with("failed ")), "{:?}", ended.stderr);
}
