//! Splits a text into statements, exactly where PostgreSQL and psql split it.
//!
//! It never fails: the parts concatenate to the text, whatever the text is, and everything that is neither white space
//! nor a comment belongs to a statement. Nothing is copied: a statement is a range of its text, so a dump of any size
//! is one pass. A wrong split would corrupt a database; therefore nothing is guessed, and anything left unclosed
//! is rejected by [`check_closed`] before anything runs.

use anyhow::Result;

use crate::error::fail;
use crate::sql::class::Class;
use crate::sql::classify;
use crate::sql::position::{self, Position};
use crate::sql::quoting::QuotingState;
use crate::sql::token::{self, Quoting, Token, TokenKind, Tokens};

/// One statement, or one psql meta-command, of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// White space, comments and empty statements before it.
    pub lead: &'a str,
    /// The statement without its semicolon.
    pub text: &'a str,
    /// The semicolon, and for `COPY … FROM stdin` the rest of its line.
    pub tail: &'a str,
    /// The lines after `COPY … FROM stdin`, with the closing `\.` where there is one.
    pub data: Option<&'a str>,
    /// Byte offset of `text`.
    pub start: usize,
    /// Byte offset of the end of `text`.
    pub end: usize,
    /// Position of `text`.
    pub position: Position,
    pub class: Class,
    /// How its plain literals are read.
    pub quoting: Quoting,
    pub unclosed: Option<Unclosed>,
}

/// A quote, comment, parenthesis or block that is still open at the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// One of `string`, `quoted name`, `dollar-quoted string`, `comment`, `parenthesis`, `BEGIN ATOMIC`,
    /// [`COPY_DATA`].
    pub what: &'static str,
    /// Byte offset of its start.
    pub offset: usize,
}

/// The data of a `COPY … FROM stdin`, which a line `\\.` closes.
pub const COPY_DATA: &str = "COPY data";

impl Unclosed {
    pub fn message(self) -> String {
        let what = self.what;
        match what {
            COPY_DATA => "the data of this COPY does not end with a line `\\.`".to_owned(),
            "BEGIN ATOMIC" => "this BEGIN ATOMIC has no END".to_owned(),
            _ => format!("this {what} is never closed"),
        }
    }

    pub fn help(self) -> &'static str {
        match self.what {
            "string" => "add the closing quote: '",
            "quoted name" => "add the closing quote: \"",
            "dollar-quoted string" => "close the string with the $tag$ that opens it",
            "comment" => "close the comment with */; comments nest, so each /* needs its own",
            "parenthesis" => "add the closing parenthesis",
            COPY_DATA => {
                "start the data on the line after the statement and end it with a line `\\.`"
            }
            _ => "close the block with END",
        }
    }
}

/// Rejects a text with something unclosed; `shown` is the file's path in messages.
pub fn check_closed(shown: &str, text: &str) -> Result<()> {
    let Some(unclosed) = statements(text).find_map(|statement| statement.unclosed) else {
        return Ok(());
    };
    let at = position::of_byte(text, unclosed.offset);
    let message = format!("{shown}:{}:{}: {}", at.line, at.column, unclosed.message());
    Err(fail(message).hint(unclosed.help()).into())
}

/// Splits a text into statements; the text after the last one is [`rest`].
///
/// ```
/// let statements = af_db_base::sql::split::split("-- first\nSELECT ';'; SELECT 2");
/// assert_eq!(statements[0].text, "SELECT ';'");
/// assert_eq!(statements[0].position.line, 2);
/// assert_eq!(statements[1].text, "SELECT 2");
/// ```
pub fn split(text: &str) -> Vec<Statement<'_>> {
    statements(text).collect()
}

/// Splits a text lazily.
pub fn statements(text: &str) -> Statements<'_> {
    Statements {
        source: text,
        tokens: token::tokens(text),
        counted: (0, Position::START),
        session: QuotingState::default(),
    }
}

/// Returns the white space and comments after the last statement.
pub fn rest<'a>(text: &'a str, statements: &[Statement<'a>]) -> &'a str {
    &text[statements.last().map_or(0, Statement::until)..]
}

impl Statement<'_> {
    /// Returns the end of the statement with its terminator and data, as a byte offset.
    pub fn until(&self) -> usize {
        self.end + self.tail.len() + self.data.map_or(0, str::len)
    }

    /// Returns the start of the statement with the white space and comments before it, as a byte offset.
    pub fn from(&self) -> usize {
        self.start - self.lead.len()
    }

    /// Returns the comments before it, in order.
    pub fn comments(&self) -> impl Iterator<Item = &str> {
        token::tokens(self.lead)
            .filter(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment))
            .map(|token| token.text(self.lead))
    }

    /// Returns its first keywords in upper case, such as `CREATE INDEX CONCURRENTLY`, for a message.
    pub fn verb(&self) -> String {
        classify::verb(self.text)
    }

    /// Returns the reason why PostgreSQL rejects it inside a transaction block.
    pub fn cannot_run_in_transaction(&self) -> Option<&'static str> {
        classify::cannot_run_in_transaction(self.class, self.text, self.quoting)
    }
}

/// The statements of a text, one after the other.
#[derive(Clone, Debug)]
pub struct Statements<'a> {
    source: &'a str,
    tokens: Tokens<'a>,
    counted: (usize, Position),
    session: QuotingState,
}

/// The end of the tokens of one statement.
struct Body {
    start: usize,
    end: usize,
    until: usize,
    unclosed: Option<Unclosed>,
}

impl<'a> Iterator for Statements<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Statement<'a>> {
        let from = self.tokens.offset();
        let body = match self.first_token()? {
            token if token.kind == TokenKind::Backslash => self.meta_command(token),
            token => self.body(token),
        };
        let source = self.source;
        let quoting = self.session.quoting();
        let text = &source[body.start..body.end];
        let class = classify::class_in(text, quoting);
        let (mut until, mut data, mut unclosed) = (body.until, None, body.unclosed);
        if class == (Class::Copy { from_stdin: true }) && unclosed.is_none() {
            let copied = self.copy_data(body.until);
            (until, data) = (copied.begin, copied.data);
            unclosed = (!copied.closed).then_some(Unclosed {
                what: COPY_DATA,
                offset: body.start,
            });
        }
        self.session.ran(class, text);
        self.tokens.set_quoting(self.session.quoting());
        Some(Statement {
            lead: &source[from..body.start],
            text,
            tail: &source[body.end..until],
            data,
            start: body.start,
            end: body.end,
            position: self.count_to(body.start),
            class,
            quoting,
            unclosed,
        })
    }
}

/// The lines after a `COPY … FROM stdin`.
struct CopyBlock<'a> {
    begin: usize,
    data: Option<&'a str>,
    /// Whether the closing `\.` was found.
    closed: bool,
}

impl<'a> Statements<'a> {
    fn first_token(&mut self) -> Option<Token> {
        self.tokens
            .find(|token| token.is_code() && token.kind != TokenKind::Semicolon)
    }

    /// psql reads a backslash outside of quotes as a command that extends to the end of the line.
    fn meta_command(&mut self, first: Token) -> Body {
        let line = &self.source[first.start..];
        let length = line.find(['\n', '\r']).unwrap_or(line.len());
        let end = first.start + line[..length].trim_end().len();
        self.tokens.jump(first.start + length);
        Body {
            start: first.start,
            end,
            until: first.start + length,
            unclosed: None,
        }
    }

    fn body(&mut self, first: Token) -> Body {
        let mut reader = Reader::default();
        let mut end = first.end;
        let mut next = Some(first);
        while let Some(token) = next {
            match token.kind {
                TokenKind::Semicolon if reader.at_top() => {
                    return Body {
                        start: first.start,
                        end,
                        until: token.end,
                        unclosed: None,
                    };
                }
                TokenKind::Backslash => {
                    // `\gexec` and similar commands end the statement before them.
                    self.tokens.jump(token.start);
                    return Body {
                        start: first.start,
                        end,
                        until: end.max(token.start),
                        unclosed: None,
                    };
                }
                _ if token.is_code() => end = token.end,
                _ => {}
            }
            reader.read(token, self.source);
            next = self.tokens.next();
        }
        Body {
            start: first.start,
            end,
            until: end,
            unclosed: reader.unclosed(),
        }
    }

    /// Takes the lines after a `COPY … FROM stdin` that ended at `from`, as psql does: from the next line on.
    fn copy_data(&mut self, from: usize) -> CopyBlock<'a> {
        let source = self.source;
        let none = CopyBlock {
            begin: from,
            data: None,
            closed: false,
        };
        let Some(begin) =
            memchr::memchr(b'\n', &source.as_bytes()[from..]).map(|length| from + length + 1)
        else {
            return none;
        };
        if token::code(&source[from..begin]).next().is_some() {
            // psql would read this code after the rows, which no order of parts can express.
            return none;
        }
        let (mut at, mut closed) = (begin, false);
        while at < source.len() && !closed {
            let end = memchr::memchr(b'\n', &source.as_bytes()[at..])
                .map_or(source.len(), |length| at + length + 1);
            let line = source[at..end]
                .strip_suffix('\n')
                .unwrap_or(&source[at..end]);
            closed = line.strip_suffix('\r').unwrap_or(line) == "\\.";
            at = end;
        }
        self.tokens.jump(at);
        CopyBlock {
            begin,
            data: Some(&source[begin..at]),
            closed,
        }
    }

    fn count_to(&mut self, offset: usize) -> Position {
        let (counted, position) = self.counted;
        let position = position.after(&self.source[counted..offset]);
        self.counted = (offset, position);
        position
    }
}

/// Tracks what keeps a semicolon inside a statement: parentheses, and the body of `BEGIN ATOMIC`.
#[derive(Default)]
struct Reader {
    parentheses: Vec<usize>,
    words: usize,
    /// How many of the words of `CREATE OR REPLACE` began the statement.
    head: usize,
    routine: bool,
    /// Byte offset of the word `BEGIN` just read.
    begins: Option<usize>,
    /// Whether the next word is a name, even if it is a keyword: after `AS` and after a dot.
    named: bool,
    /// The starts of the open `BEGIN ATOMIC` and `CASE` of a routine's body.
    blocks: Vec<usize>,
    unclosed: Option<Unclosed>,
}

impl Reader {
    fn at_top(&self) -> bool {
        self.parentheses.is_empty() && self.blocks.is_empty()
    }

    fn read(&mut self, token: Token, source: &str) {
        if !token.closed {
            self.unclosed = Some(Unclosed {
                what: name_of(token.kind),
                offset: token.start,
            });
        }
        if !token.is_code() {
            return;
        }
        let begins = self.begins.take();
        let named = std::mem::take(&mut self.named);
        match token.kind {
            TokenKind::Open => self.parentheses.push(token.start),
            TokenKind::Close => {
                self.parentheses.pop();
            }
            TokenKind::Other => self.named = token.text(source) == ".",
            TokenKind::Word if !named => self.word(token, source, begins),
            _ => {}
        }
    }

    fn word(&mut self, token: Token, source: &str, begins: Option<usize>) {
        let is = |word| token.is_word(source, word);
        self.named = is("as");
        self.words += 1;
        if self.words <= 4 {
            self.head_word(token, source);
        }
        if !self.routine {
            return;
        }
        if let Some(start) = begins
            && is("atomic")
        {
            self.blocks.push(start);
        } else if is("begin") {
            self.begins = Some(token.start);
        } else if !self.blocks.is_empty() && is("case") {
            self.blocks.push(token.start);
        } else if is("end") {
            self.blocks.pop();
        }
    }

    fn head_word(&mut self, token: Token, source: &str) {
        let is = |word| token.is_word(source, word);
        let head = ["create", "or", "replace"];
        if self.head + 1 == self.words && head.get(self.head).is_some_and(|word| is(word)) {
            self.head += 1;
        } else if self.head + 1 == self.words && matches!(self.head, 1 | 3) {
            self.routine = is("function") || is("procedure");
        }
    }

    fn unclosed(self) -> Option<Unclosed> {
        let block = self.blocks.first().map(|offset| Unclosed {
            what: "BEGIN ATOMIC",
            offset: *offset,
        });
        let parenthesis = self.parentheses.first().map(|offset| Unclosed {
            what: "parenthesis",
            offset: *offset,
        });
        self.unclosed.or(block).or(parenthesis)
    }
}

fn name_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::QuotedName => "quoted name",
        TokenKind::DollarText => "dollar-quoted string",
        TokenKind::BlockComment => "comment",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = split(text).iter().map(|piece| piece.text).collect();
        assert_eq!(found, expected, "{text}");
        joins_back(text);
    }

    fn joins_back(text: &str) {
        let statements = split(text);
        let mut joined = String::new();
        for piece in &statements {
            assert_eq!(piece.from(), joined.len());
            joined.push_str(piece.lead);
            assert_eq!(piece.start, joined.len());
            joined.push_str(piece.text);
            assert_eq!(piece.end, joined.len());
            joined.push_str(piece.tail);
            joined.push_str(piece.data.unwrap_or_default());
            assert_eq!(piece.until(), joined.len());
            assert_eq!(
                piece.position,
                crate::sql::position::of_byte(text, piece.start)
            );
        }
        let rest = rest(text, &statements);
        joined.push_str(rest);
        assert_eq!(joined, text);
        // Only white space, comments and semicolons are between the statements.
        let between = statements.iter().map(|piece| piece.lead).chain([rest]);
        for token in between.flat_map(token::code) {
            assert_eq!(token.kind, TokenKind::Semicolon, "{text}");
        }
        for piece in &statements {
            let tail = token::code(piece.tail).all(|token| token.kind == TokenKind::Semicolon);
            assert!(tail && !piece.text.is_empty(), "{text}");
        }
    }

    #[test]
    fn semicolons_inside_do_not_split() {
        check("SELECT ';'; SELECT 2", &["SELECT ';'", "SELECT 2"]);
        check("SELECT $$;$$;SELECT 2;", &["SELECT $$;$$", "SELECT 2"]);
        check("SELECT \";\" ; ;; SELECT 2", &["SELECT \";\"", "SELECT 2"]);
        check("SELECT 1 /* ; /* ; */ ; */; -- ;\n", &["SELECT 1"]);
        check("SELECT 1 @-- ;\n;SELECT 2", &["SELECT 1 @", "SELECT 2"]);
        check(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            &[
                "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
                "SELECT 3",
            ],
        );
        check("-- only a comment", &[]);
        check("\u{feff}SELECT 1", &["SELECT 1"]);
        check(")SELECT 1;SELECT 2", &[")SELECT 1", "SELECT 2"]);
    }

    #[test]
    fn standard_bodies_do_not_split() {
        let body = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END";
        check(&format!("{body}; SELECT 3"), &[body, "SELECT 3"]);
        let procedure = "create procedure p() begin /**/ atomic insert into t values (1); end";
        check(&format!("{procedure};select 1"), &[procedure, "select 1"]);
        check(
            "BEGIN; SELECT 1; END; SELECT 2",
            &["BEGIN", "SELECT 1", "END", "SELECT 2"],
        );
        check(
            "CREATE FUNCTION begin() RETURNS int AS $$;$$ LANGUAGE sql; SELECT 1",
            &[
                "CREATE FUNCTION begin() RETURNS int AS $$;$$ LANGUAGE sql",
                "SELECT 1",
            ],
        );
    }

    #[test]
    fn copy_data_belongs_to_its_statement() {
        let text = "COPY public.t (a, b) FROM stdin;\n1\t;\n\\N\t'\n\\.\n\nSELECT 1;\n";
        check(text, &["COPY public.t (a, b) FROM stdin", "SELECT 1"]);
        let statements = split(text);
        assert_eq!(statements[0].data, Some("1\t;\n\\N\t'\n\\.\n"));
        assert_eq!(statements[0].tail, ";\n");
        assert_eq!(statements[1].data, None);
        check(
            "COPY t TO stdout; SELECT 1",
            &["COPY t TO stdout", "SELECT 1"],
        );
        check(
            "COPY t FROM stdin; SELECT 1",
            &["COPY t FROM stdin", "SELECT 1"],
        );
        check(
            "COPY t FROM stdin;\r\n1\r\n\\.\r\nSELECT 1",
            &["COPY t FROM stdin", "SELECT 1"],
        );
        check(
            "COPY t FROM stdin; /* ; */ -- ;\n1\n\\.\nSELECT 1",
            &["COPY t FROM stdin", "SELECT 1"],
        );
        assert_eq!(split("COPY t FROM stdin;\n1")[0].data, Some("1"));
        assert_eq!(split("COPY t FROM stdin")[0].data, None);
    }

    #[test]
    fn meta_commands_are_statements_of_their_own() {
        let text = "\\restrict abc ;\nSELECT 'a' \\gexec\nSELECT 2;\\unrestrict abc";
        check(
            text,
            &[
                "\\restrict abc ;",
                "SELECT 'a'",
                "\\gexec",
                "SELECT 2",
                "\\unrestrict abc",
            ],
        );
        let classes: Vec<Class> = split(text).iter().map(|piece| piece.class).collect();
        assert_eq!(classes[0], Class::MetaCommand);
        assert_eq!(classes[1], Class::Select);
        assert_eq!(classes[2], Class::MetaCommand);
        assert_eq!(
            split(text)[2].position,
            Position {
                line: 2,
                column: 12
            }
        );
    }

    #[test]
    fn unclosed_constructs_are_recognised() {
        let check = |text: &str, what: &str, offset: usize| {
            let unclosed = split(text).iter().find_map(|piece| piece.unclosed);
            let found = unclosed.map(|unclosed| (unclosed.what, unclosed.offset));
            assert_eq!(found, Some((what, offset)), "{text}");
        };
        check("SELECT 'a", "string", 7);
        check("SELECT $a$ b", "dollar-quoted string", 7);
        check("SELECT (1; SELECT 2", "parenthesis", 7);
        check("SELECT 1 /* a", "comment", 9);
        check("SELECT \"a", "quoted name", 7);
        check(
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;",
            "BEGIN ATOMIC",
            20,
        );
        check("SELECT 1; /* a /* b */", "comment", 10);
        check("/* a", "comment", 0);
        check("SELECT E'a\\'", "string", 7);
        check("SELECT U&'a", "string", 7);
        check("SELECT 1;\nCOPY t FROM stdin;\n1\n", "COPY data", 10);
        check("COPY t FROM stdin;\n1\n \\.\n", "COPY data", 0);
        check("COPY t FROM stdin;", "COPY data", 0);
        check("COPY t FROM stdin", "COPY data", 0);
        check("COPY t FROM stdin; SELECT 1;\n1\n\\.\n", "COPY data", 0);
        check("COPY t FROM stdin; /*\n1\n\\.\n*/", "COPY data", 0);
        for closed in [
            "SELECT 'a', E'\\'', \"b\", $$ ' $$, (1) /* /* */ */ -- '",
            "COPY t FROM stdin;\n'\n\\.",
            "SELECT 1 -- /*",
            "",
        ] {
            assert!(check_closed("a.sql", closed).is_ok(), "{closed}");
        }
    }

    #[test]
    fn unclosed_constructs_are_rejected_with_their_position() {
        let error = check_closed("a.sql", "SELECT 1;\n  /* ☃").unwrap_err();
        assert_eq!(error.to_string(), "a.sql:2:3: this comment is never closed");
    }

    #[test]
    fn comments_before_a_statement_are_reachable() {
        let statements = split("SELECT 1; -- one\n/* two */ SELECT 2");
        let comments: Vec<&str> = statements[1].comments().collect();
        assert_eq!(comments, ["-- one", "/* two */"]);
    }

    proptest! {
        #[test]
        fn pieces_join_back(text in r#"(\PC|[-'"$;/*\\eE(). \n\ra]|\$a\$|--|/\*|\*/|CREATE |FUNCTION |BEGIN |ATOMIC |CASE |END|COPY |FROM |STDIN|;\n|\\\.){0,50}"#) {
            joins_back(&text);
        }
    }
}
