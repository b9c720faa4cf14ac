//! A connection that sends a small answer in one piece. Its head and its body lie in two buffers, and for the system a call
//! with two buffers costs far more than copying a few kilobytes does.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Nearly all answers to one event are shorter. Longer ones are not copied: a page of logs can take megabytes.
const JOINED_MAX_BYTES: usize = 4 * 1024;

pub struct JoinedWrites<Stream = TcpStream>(pub Stream);

impl<Stream: AsyncWrite + Unpin> AsyncWrite for JoinedWrites<Stream> {
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut joined = [0; JOINED_MAX_BYTES];
        let Some(joined) = joined.get_mut(..length) else {
            return Pin::new(&mut self.0).poll_write_vectored(context, pieces);
        };
        let mut rest = &mut *joined;
        for piece in pieces {
            let (start, after) = rest.split_at_mut(piece.len());
            start.copy_from_slice(piece);
            rest = after;
        }
        Pin::new(&mut self.0).poll_write(context, joined)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for JoinedWrites<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_however_long_they_are() {
        for lengths in [[0, 0, 0], [1, 0, 2], [100, 3_996, 0], [100, 3_997, 1], [9_000, 10, 70_000]] {
            let pieces: Vec<Vec<u8>> =
                (b'a'..).zip(lengths).map(|(letter, length)| vec![letter; length]).collect();
            let (near, mut far) = tokio::io::duplex(1_000);
            let expected = pieces.concat();
            let sender = tokio::spawn(async move {
                let mut near = JoinedWrites(near);
                let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                let mut left = &mut slices[..];
                while left.iter().any(|piece| !piece.is_empty()) {
                    let sent = near.write_vectored(left).await.unwrap();
                    IoSlice::advance_slices(&mut left, sent);
                }
            });
            let mut arrived = Vec::new();
            far.read_to_end(&mut arrived).await.unwrap();
            sender.await.unwrap();
            assert!(arrived == expected, "{lengths:?}: {} bytes arrived", arrived.len());
        }
    }
}
