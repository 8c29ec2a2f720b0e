//! One attempt over tokio's sockets. Dropping the future closes the socket.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant as TokioInstant, timeout_at};

use crate::AttemptError;
use crate::attempt::any_of;
use crate::job::Job;
use crate::wire::{self, DATAGRAM_BUFFER, Datagrams, READ_CHUNK, Span, StreamReply, Turn, after};

/// The runtime's idea of now, which its tests may hold still.
pub(crate) fn now() -> Instant {
    TokioInstant::now().into_std()
}

pub(crate) async fn datagram(
    address: SocketAddr,
    job: &Job,
    span: Span,
) -> Result<Vec<u8>, AttemptError> {
    let request = &job.request;
    let socket = UdpSocket::bind(any_of(address))
        .await
        .map_err(|e| AttemptError::from_io("bind", e))?;
    // A connected socket drops what others send and reports an ICMP port unreachable.
    socket
        .connect(address)
        .await
        .map_err(|e| AttemptError::from_io("connect", e))?;
    let mut turns = Datagrams::new(&job.limits, span);
    let mut buffer = vec![0; DATAGRAM_BUFFER];
    loop {
        let until = match turns.turn(now()) {
            Turn::Send => {
                let sent = socket.send(&request.message).await;
                sent.map_err(|e| AttemptError::from_io("send", e))?;
                continue;
            }
            Turn::ReceiveUntil(until) => until,
            Turn::Over(error) => return Err(error),
        };
        let Ok(received) = timeout_at(until.into(), socket.recv(&mut buffer)).await else {
            continue;
        };
        let length = received.map_err(|e| AttemptError::from_io("receive", e))?;
        let datagram = buffer.get(..length).unwrap_or_default();
        if let Some(taken) = turns.received(request.service, &request.message, datagram) {
            return taken;
        }
    }
}

pub(crate) async fn stream(
    address: SocketAddr,
    job: &Job,
    span: Span,
) -> Result<Vec<u8>, AttemptError> {
    let connected_by = span.until.min(after(span.since, job.limits.connect));
    let connecting = TcpStream::connect(address);
    let mut socket = in_time(connected_by, span, "connect", connecting).await?;
    socket
        .set_nodelay(true)
        .map_err(|e| AttemptError::from_io("connect", e))?;
    let framed = wire::framed(&job.request.message);
    in_time(span.until, span, "send", socket.write_all(&framed)).await?;
    let mut reply = StreamReply::default();
    let mut chunk = vec![0; READ_CHUNK];
    loop {
        let wanted = reply.wanted().min(chunk.len());
        let piece = chunk.get_mut(..wanted).unwrap_or_default();
        let read = in_time(span.until, span, "receive", socket.read(piece)).await?;
        if read == 0 {
            return Err(reply.closed());
        }
        if let Some(reply) = reply.received(chunk.get(..read).unwrap_or_default())? {
            return wire::judge(job.request.service, &job.request.message, reply);
        }
    }
}

async fn in_time<T>(
    until: Instant,
    span: Span,
    step: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, AttemptError> {
    match timeout_at(until.into(), work).await {
        Ok(result) => result.map_err(|e| AttemptError::from_io(step, e)),
        Err(_) => Err(span.silent(now())),
    }
}
