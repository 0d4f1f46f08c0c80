//! A picture of a terminal's screen.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

/// The size of a cell, and the margin, in pixels.
const CELL: (usize, usize) = (8, 18);
const MARGIN: usize = 12;

/// Returns the attributes of a style of the text view.
fn attributes(sequence: &str) -> &'static str {
    match sequence {
        "0" => "",
        "1" => " fill=\"#ffffff\" font-weight=\"bold\"",
        "2" => " fill=\"#8b949e\"",
        "31" => " fill=\"#ff7b72\"",
        "1;31" => " fill=\"#ff7b72\" font-weight=\"bold\"",
        "33" => " fill=\"#e3b341\"",
        "35" => " fill=\"#d2a8ff\"",
        "36" => " fill=\"#39c5cf\"",
        "38;5;75" => " fill=\"#5fafff\"",
        "38;5;80" => " fill=\"#5fd7d7\"",
        "38;5;114" => " fill=\"#87d787\"",
        "38;5;141" => " fill=\"#af87ff\"",
        "38;5;180" => " fill=\"#d7af87\"",
        "38;5;209" => " fill=\"#ff875f\"",
        other => panic!("a style that no picture knows: {other}"),
    }
}

/// Draws rows with SGR sequences as SVG. Each part stands at its cell, whatever the font of the viewer.
pub(crate) fn picture(title: &str, screen: &str, columns: usize) -> String {
    let rows: Vec<&str> = screen.lines().collect();
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows.len() * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" \
         font-size=\"13\">\n<title>{title}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#0d1117\"/>\n\
         <g fill=\"#e6edf3\" style=\"white-space: pre\">\n"
    );
    for (number, row) in rows.iter().enumerate() {
        let (mut column, mut style) = (0, "");
        let y = MARGIN + number * CELL.1 + 13;
        for part in row.split("\x1b[") {
            let text = match part.split_once('m').filter(|_| part.len() < row.len()) {
                Some((sequence, text)) if sequence.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') => {
                    style = attributes(sequence);
                    text
                }
                _ => part,
            };
            let shown = text.trim_start_matches(' ');
            column += text.width() - shown.width();
            if !shown.is_empty() {
                let (x, length) = (MARGIN + column * CELL.0, shown.width() * CELL.0);
                let shown = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                writeln!(svg, "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\"{style}>{shown}</text>").unwrap();
            }
            column += text.trim_start_matches(' ').width();
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}
