//! Leaving so that the last words arrive.

use core::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long a peer that was refused may take to read its ERROR and close.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// How much of what it still sends is read meanwhile.
const DRAIN: u64 = 64 * 1024;
/// How long a peer that we leave may take to read what we have sent and close.
const AFTER_CLOSE: Duration = Duration::from_secs(2);

/// Writes `last_words`, closes our direction, and reads the peer out before the stream is dropped: closing a TCP
/// socket that holds unread octets resets it, and a reset makes the peer forget what it has not read yet.
pub(super) async fn say_last_words<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, last_words: &[u8]) {
    let farewell = async {
        io.write_all(last_words).await?;
        io.flush().await?;
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(DRAIN), &mut tokio::io::sink()).await
    };
    // The connection has failed already, for a reason that is known; a second one is of no use to anybody.
    let _ = timeout(AFTER_REFUSAL, farewell).await;
}

/// Reads a peer out, once our direction is closed: until it closes as well, or for two seconds.
pub(super) async fn read_out<T: AsyncRead + Unpin>(io: &mut T) {
    // Everything was handed over; that the peer ends with a failure of its own changes nothing.
    let _ = timeout(AFTER_CLOSE, tokio::io::copy(io, &mut tokio::io::sink())).await;
}
