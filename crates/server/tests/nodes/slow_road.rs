//! A way to a server on which every answer takes its time.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// Opens a port that leads to another, and returns its address; it closes with the tests.
pub fn to(server: SocketAddr, delay: Duration) -> SocketAddr {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
    let address = listener.local_addr().expect("it has one");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // Whoever breaks off needs no way any more.
            join(client, server, delay).ok();
        }
    });
    address
}

fn join(client: TcpStream, server: SocketAddr, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (asking, asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || carry(asking, asked, Duration::ZERO).ok());
    thread::spawn(move || carry(server, client, delay).ok());
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return to.shutdown(Shutdown::Write);
        }
        thread::sleep(delay);
        to.write_all(&bytes[..length])?;
    }
}
