//! How long a client may take, and how much it may make us hold.

use super::*;

const TIMEOUTS: ConnectionTimeouts =
    ConnectionTimeouts { head: Duration::from_secs(10), rest: Duration::from_secs(60) };

struct Scene {
    start: Instant,
    clock: Rc<Clock>,
    connection: Connection,
}

fn scene() -> Scene {
    let start = Instant::now();
    let clock = Rc::new(Clock::new(start));
    let connection = Connection::new(clock.clone(), Budget::new(1 << 20), None);
    connection.carry(Carrier::Http).expect("room");
    Scene { start, connection, clock }
}

impl Scene {
    fn at(&self, second: u64) -> &Connection {
        let now = self.start + Duration::from_secs(second);
        self.clock.set(now);
        self.connection.check(TIMEOUTS, now);
        &self.connection
    }

    fn is_given_up(&self, second: u64) -> bool {
        self.at(second).given_up.get()
    }
}

/// The head of a request, without its end.
const HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

impl Connection {
    fn reads(&self, text: &str) {
        self.read(&mut text.as_bytes().to_vec());
    }

    fn reads_request(&self) {
        self.reads(HEAD);
        self.reads("\r\n");
    }
}

#[test]
fn a_head_that_drips_in_is_given_up_whichever_request_of_the_connection_it_is() {
    let scene = scene();
    let first = scene.at(1);
    first.reads_request();
    first.asked();
    first.answered();
    first.written(1);
    for second in 20..30 {
        scene.at(second).reads("G");
        assert!(!scene.is_given_up(second));
    }
    assert!(scene.is_given_up(31));
}

#[test]
fn a_request_takes_as_long_as_it_takes() {
    let scene = scene();
    scene.at(0).reads("POST /mcp HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
    scene.at(1).asked();
    scene.at(30).reads("upgrade: "); // its body
    assert!(!scene.is_given_up(3600));
}

#[test]
fn a_request_that_was_told_to_go_on_takes_as_long_as_it_takes() {
    let scene = scene();
    scene.at(0).reads("POST /mcp HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    scene.at(0).asked();
    scene.at(0).written(1);
    scene.at(1).reads("{");
    assert!(!scene.is_given_up(3600));
}

#[test]
fn a_request_behind_another_has_time_until_that_one_is_answered() {
    let scene = scene();
    scene.at(0).reads_request();
    scene.at(0).asked();
    scene.at(1).reads_request();
    scene.at(1).reads(HEAD);
    assert!(!scene.is_given_up(600), "the first is thought about");
    scene.at(600).answered();
    scene.at(600).written(1);
    assert!(!scene.is_given_up(630), "the second is about to be");
    scene.at(630).asked();
    assert!(!scene.is_given_up(700));
    scene.at(700).answered();
    scene.at(700).written(1);
    assert!(!scene.is_given_up(710));
    assert!(scene.is_given_up(711), "the third has had its time");
}

#[test]
fn who_has_nothing_more_to_ask_is_let_go() {
    let scene = scene();
    scene.at(0).reads_request();
    scene.at(0).asked();
    scene.at(5).answered();
    scene.at(5).written(1);
    assert!(!scene.is_given_up(65));
    assert!(scene.is_given_up(66));
}

#[test]
fn who_never_says_anything_has_as_long_as_for_a_head() {
    let scene = scene();
    scene.connection.carry(Carrier::New).expect("it costs less");
    assert!(!scene.is_given_up(10));
    assert!(scene.is_given_up(11));
}

#[test]
fn the_library_goes_between_requests_a_moment_after_the_answer() {
    let scene = scene();
    let next = |second| {
        scene.at(second).turn.set(0);
        scene.connection.next_carrier()
    };
    scene.at(0).reads_request();
    scene.at(0).asked();
    assert_eq!(next(5), None, "it is thought about");
    scene.at(6).answered();
    scene.at(6).written(1);
    assert_eq!(next(6), None, "the next one may follow at once");
    assert_eq!(next(7), Some(Carrier::Idle));
    assert_eq!(scene.connection.next_carrier(), None, "once");
    scene.at(8).reads(HEAD);
    assert_eq!(scene.connection.next_carrier(), None, "something has come in this turn");
    assert_eq!(next(9), None, "a head is not complete");
}

#[test]
fn a_stream_goes_on_without_the_library_if_its_connection_outlives_it() {
    let scene = scene();
    for (persists, expected) in [(true, Some(Carrier::Stream)), (false, None)] {
        scene.at(0).reads_request();
        scene.at(0).asked();
        scene.connection.streams(BoxBody::new(()), persists);
        scene.at(1);
        scene.connection.turn.set(0);
        assert_eq!(scene.connection.next_carrier(), expected);
        scene.connection.end_stream();
    }
}

#[test]
fn a_connection_costs_what_carries_it() {
    let scene = scene();
    let held = || scene.connection.budget.held(Purpose::Connections);
    assert_eq!(held(), 12 * 1024);
    scene.connection.carry(Carrier::Stream).expect("it costs less");
    assert_eq!(held(), 4 * 1024);
    scene.connection.carry(Carrier::Idle).expect("it costs less");
    assert_eq!(held(), 2 * 1024);
    scene.connection.budget.set_total(8 * 1024);
    assert!(scene.connection.carry(Carrier::Http).is_err());
    assert_eq!((scene.connection.carrier(), held()), (Carrier::Idle, 2 * 1024));
}

#[test]
fn a_stream_that_says_something_now_and_then_stays_even_if_the_client_sends_ahead() {
    let scene = scene();
    scene.at(0).reads_request();
    scene.at(0).asked();
    scene.at(0).streams(BoxBody::new(()), true);
    for second in (0..600).step_by(15) {
        scene.at(second).written(1);
        scene.at(second).reads("G");
        assert!(!scene.is_given_up(second + 14));
    }
    scene.at(600).answered();
    assert!(!scene.is_given_up(610));
    assert!(scene.is_given_up(611), "what it sent ahead is the next request now");
}

#[test]
fn what_is_sent_ahead_of_an_answer_is_not_read() {
    let scene = scene();
    let connection = scene.at(0);
    assert!(!connection.is_ahead());
    connection.reads_request();
    connection.asked();
    assert!(!connection.is_ahead(), "its body may follow");
    connection.reads(HEAD);
    assert!(connection.is_ahead(), "the next request has begun");
    connection.answered();
    assert!(!connection.unread.get() && !connection.is_ahead());
}

#[test]
fn no_more_is_read_in_one_turn_than_so_much() {
    let scene = scene();
    let connection = scene.at(0);
    connection.reads(&format!("POST /mcp HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 10 * TURN));
    connection.asked();
    while connection.turn.get() < TURN {
        assert!(!connection.is_ahead());
        connection.reads(&"x".repeat(4096));
    }
    assert!(connection.is_ahead());
    connection.turn.set(0);
    assert!(!connection.is_ahead());
}

#[test]
fn a_long_head_counts_until_it_is_complete_and_ends_a_connection_that_has_no_room_for_it() {
    let scene = scene();
    let connection = scene.at(0);
    connection.reads("GET / HTTP/1.1\r\nX: ");
    (0..5).for_each(|_| connection.reads(&"x".repeat(8192)));
    let counted = connection.budget.held(Purpose::Sockets);
    assert!(counted > 20_000 && counted <= 5 * 8192, "{counted}");
    connection.reads("\r\n\r\n");
    assert_eq!(connection.budget.held(Purpose::Sockets), 0);
    connection.budget.set_total(4096);
    connection.reads("GET / HTTP/1.1\r\nX: ");
    (0..5).for_each(|_| connection.reads(&"x".repeat(8192)));
    assert!(connection.given_up.get());
}

#[test]
fn what_a_client_does_not_take_counts_and_it_is_not_read_meanwhile() {
    let connection = Rc::new(scene().connection);
    connection.blocked(1000);
    connection.blocked(700);
    assert_eq!(connection.budget.held(Purpose::Sockets), 700);
    assert!(connection.is_ahead());
    let later = Instant::now() + Duration::from_secs(10);
    assert_eq!(connection.offer(later), Some(Reclaimable { pace: 0, bytes: 700 }));
    connection.written(50_000);
    assert_eq!(connection.offer(later).expect("owed").pace / 1000, 5);
    connection.flushed();
    assert_eq!((connection.budget.held(Purpose::Sockets), connection.offer(later)), (0, None));
    assert!(!connection.is_ahead());
}
