//! Every boundary of framing, buffering and vectored writes, up to 16 MiB, octet by octet.

use bytes::Bytes;
use zmtp_bench::peers::libzmq::SocketKind;
use zmtp_connection::codec::SocketType;

use crate::payload::{assert_same, message, octets};
use crate::theirs::{ROLES, Role, next_message, pair, within};

/// The largest short frame and the smallest long one, libzmq's read and write batches (8,192), our largest read (65,536), and
/// what no buffer of either side holds.
const SIZES: [usize; 9] = [0, 1, 255, 256, 8191, 8192, 65536, 1 << 20, 16 << 20];

async fn every_size(ours: SocketType, theirs: SocketKind, role: Role) {
    let (mut ours, mut theirs) = pair(ours, theirs, role).await;
    for (size, seed) in SIZES.into_iter().zip(1..) {
        for parts in [vec![size], vec![3, size, 0, 5]] {
            let (there, back) = (message(seed, &parts), message(seed + 50, &parts));
            let what = format!("parts of {parts:?} octets");
            // Both ways at once: neither side may wait for the other to read first.
            let exchange = async {
                let send = async {
                    ours.send(&there).await.unwrap();
                    next_message(&mut ours).await
                };
                let answer = async {
                    theirs.send(&back).await;
                    theirs.recv().await
                };
                tokio::join!(send, answer)
            };
            let (at_ours, at_theirs) = within(&what, exchange).await;
            assert_same(&at_theirs, &there, &format!("{what} to libzmq"));
            assert_same(&at_ours, &back, &format!("{what} from libzmq"));
        }
    }
    theirs.assert_still_connected();
}

#[tokio::test]
async fn pair_accepting() {
    every_size(SocketType::Pair, SocketKind::Pair, Role::WeAccept).await;
}

#[tokio::test]
async fn pair_connecting() {
    every_size(SocketType::Pair, SocketKind::Pair, Role::WeConnect).await;
}

#[tokio::test]
async fn dealer_accepting() {
    every_size(SocketType::Dealer, SocketKind::Dealer, Role::WeAccept).await;
}

#[tokio::test]
async fn dealer_connecting() {
    every_size(SocketType::Dealer, SocketKind::Dealer, Role::WeConnect).await;
}

/// Shared payloads take the other way through our queue: referred to, not copied, and sent in vectored writes.
#[tokio::test]
async fn shared_payloads_of_every_size_in_one_flush() {
    for role in ROLES {
        let (mut ours, mut theirs) = pair(SocketType::Push, SocketKind::Pull, role).await;
        let payloads: Vec<Bytes> = SIZES.into_iter().map(|size| octets(7, size).into()).collect();
        let send = async {
            for payload in &payloads {
                // The high-water mark is far below the sum, so this flushes now and then.
                ours.reserve().await.unwrap().feed(payload).unwrap();
            }
            ours.flush().await.unwrap();
        };
        let receive = async {
            for payload in &payloads {
                assert_same(&theirs.recv().await, &[payload], "a shared payload");
            }
        };
        within("all payloads", async { tokio::join!(send, receive) }).await;
    }
}

/// Many small messages share segments and reads, so every alignment of frames and buffers comes up.
#[tokio::test]
async fn thousands_of_messages_each_way_keep_their_order() {
    const COUNT: u64 = 10_000;
    for role in ROLES {
        let (ours, mut theirs) = pair(SocketType::Dealer, SocketKind::Dealer, role).await;
        let (mut receiver, mut sender) = ours.into_split();
        let size = |number: u64| usize::try_from(number % 300).unwrap();
        let send = async {
            for number in 0..COUNT {
                sender.reserve().await.unwrap().feed(&octets(number, size(number))).unwrap();
            }
            sender.flush().await.unwrap();
        };
        let receive = async {
            for number in 0..COUNT {
                let event = receiver.recv().await.unwrap().unwrap();
                let received = event.into_message().unwrap().into_parts();
                assert_same(&received, &[octets(COUNT + number, size(number))], "from libzmq");
            }
        };
        let at_theirs = theirs.run(move |socket| {
            // In turns, so that neither queue of libzmq's fills.
            for number in 0..COUNT {
                socket.send(&[&octets(COUNT + number, size(number))]).unwrap();
                assert_same(&socket.recv().unwrap(), &[octets(number, size(number))], "to libzmq");
            }
        });
        within("all messages", async { tokio::join!(send, receive, at_theirs) }).await;
    }
}
