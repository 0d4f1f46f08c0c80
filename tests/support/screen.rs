//! A minimal terminal that shows what a program draws: lines, the cursor, and clearing.

/// A screen without a bottom.
pub(crate) struct Screen {
    columns: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    /// The column of the cursor; one beyond the last if the next character begins a new line.
    column: usize,
}

impl Screen {
    pub(crate) fn new(columns: usize) -> Screen {
        Screen { columns, rows: vec![Vec::new()], row: 0, column: 0 }
    }

    /// Returns the lines, without trailing blanks and empty last lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
        let mut lines: Vec<String> = lines.collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Processes the output of a program. Returns a copy of the screen from before each clearing.
    pub(crate) fn feed(&mut self, text: &str) -> Vec<Vec<String>> {
        let mut drawn: Vec<Vec<String>> = Vec::new();
        let mut clears = false;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(1),
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['), "an escape sequence that no terminal test knows");
                    let parameter: String = chars.as_str().chars().take_while(char::is_ascii_digit).collect();
                    let command = chars.nth(parameter.len()).unwrap();
                    let count = parameter.parse().unwrap_or(1);
                    if !clears && matches!(command, 'A' | 'K') {
                        drawn.push(self.lines());
                        clears = true;
                    }
                    match command {
                        'A' => {
                            assert!(count <= self.row, "the cursor leaves the screen");
                            self.row -= count;
                        }
                        'B' => self.down(count),
                        'K' if parameter == "2" => self.rows[self.row].clear(),
                        'K' => self.rows[self.row].truncate(self.column),
                        other => panic!("an escape sequence that no terminal test knows: {other}"),
                    }
                }
                c => {
                    assert!(!c.is_control(), "{c:?}");
                    clears = false;
                    if self.column == self.columns {
                        self.down(1);
                        self.column = 0;
                    }
                    let row = &mut self.rows[self.row];
                    if row.len() <= self.column {
                        row.resize(self.column + 1, ' ');
                    }
                    row[self.column] = c;
                    self.column += 1;
                }
            }
        }
        drawn
    }

    fn down(&mut self, count: usize) {
        self.row += count;
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, Vec::new());
        }
    }
}
