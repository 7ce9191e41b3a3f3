//! A server of recommendations without Python: a line of item ids in, a line of recommended ids out.
//!
//! ```text
//! $ cargo run --release -p sidkit-core --example serve -- shop-model/inference.safetensors 127.0.0.1:7000
//! $ echo '50 172 181' | nc -N 127.0.0.1 7000
//! 174 100 210 ...
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its terminal"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;

use sidkit_core::Result;
use sidkit_core::infer::{ItemId, Model, Ragged, Requests};

/// Longest line of a request, in bytes.
const LONGEST: u64 = 1 << 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, address] = &arguments[..] else {
        eprintln!(
            "expected an inference file and an address, such as `inference.safetensors 127.0.0.1:7000`"
        );
        return ExitCode::FAILURE;
    };
    match serve(Path::new(path), address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers every connection on a thread.
fn serve(path: &Path, address: &str) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let model = Model::open(path, false)?;
    let listener = TcpListener::bind(address)?;
    println!("{} items at {}", model.len(), listener.local_addr()?);
    std::thread::scope(|scope| {
        for connection in listener.incoming().flatten() {
            scope.spawn(|| answer(&model, connection));
        }
    });
    Ok(())
}

/// Answers the lines of a connection until it ends.
fn answer(model: &Model, connection: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?.take(u64::MAX));
    let mut connection = connection;
    loop {
        let mut line = String::new();
        lines.get_mut().set_limit(LONGEST);
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match recommend(model, &line) {
            Ok(ids) => writeln!(connection, "{}", ids.join(" "))?,
            Err(error) => writeln!(connection, "error: {error}")?,
        }
    }
}

/// The ids of ten items for a history of ids; unknown ids are skipped.
fn recommend(model: &Model, line: &str) -> Result<Vec<String>> {
    let rows = if model.has_int_ids() {
        model.find_ints(line.split_whitespace().filter_map(|id| id.parse().ok()))
    } else {
        model.find_texts(line.split_whitespace())
    };
    let history: Vec<u32> = rows
        .into_iter()
        .filter_map(|row| u32::try_from(row).ok())
        .collect();
    let offsets = [0, history.len()];
    let histories = Ragged {
        values: &history,
        offsets: &offsets,
    };
    let (mut items, mut scores) = ([0; 10], [0.0; 10]);
    model.recommend(&Requests::new(histories, model), 1, &mut items, &mut scores)?;
    let ids = model.ids(&items).into_iter().flatten();
    Ok(ids
        .map(|id| match id {
            ItemId::Int(id) => id.to_string(),
            ItemId::Text(id) => id,
        })
        .collect())
}
