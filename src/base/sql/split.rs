//! Splits a text into statements, exactly where PostgreSQL and psql split it.
//!
//! Total by construction: the pieces join back to the text, whatever the text is, and whatever is neither white space
//! nor a comment belongs to a statement. Nothing is copied: a statement is a range of its text, so a dump of any size
//! is one pass. A wrong split corrupts a database; therefore nothing here guesses, and what is opened and never closed
//! is refused by [`check_closed`] before anything runs.

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
    /// What stands before it: white space, comments, empty statements.
    pub lead: &'a str,
    /// The statement without its semicolon.
    pub text: &'a str,
    /// What ends it: the semicolon, and for `COPY … FROM stdin` the rest of its line.
    pub tail: &'a str,
    /// The lines after `COPY … FROM stdin`, with the closing `\.` where there is one.
    pub data: Option<&'a str>,
    /// Where `text` begins, in bytes.
    pub start: usize,
    /// Where `text` ends, in bytes.
    pub end: usize,
    /// Where `text` begins, as a person counts.
    pub position: Position,
    /// What it is.
    pub class: Class,
    /// How its plain literals are read.
    pub quoting: Quoting,
    /// What was opened and never closed.
    pub unclosed: Option<Unclosed>,
}

/// A quote, comment, parenthesis or block that the end of the text cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// What it is: `string`, `quoted name`, `dollar-quoted string`, `comment`, `parenthesis`, `BEGIN ATOMIC`,
    /// [`COPY_DATA`].
    pub what: &'static str,
    /// Where it was opened, in bytes.
    pub offset: usize,
}

/// The rows of a `COPY … FROM stdin`, which a line `\\.` closes.
pub const COPY_DATA: &str = "COPY data";

impl Unclosed {
    /// Says in one sentence what is wrong.
    pub fn message(self) -> String {
        let what = self.what;
        match what {
            COPY_DATA => "the rows of this COPY do not end with a line `\\.`".to_owned(),
            "BEGIN ATOMIC" => "this BEGIN ATOMIC has no END".to_owned(),
            _ => format!("this {what} is never closed"),
        }
    }

    /// Says what to do about it.
    pub fn help(self) -> &'static str {
        match self.what {
            "string" => "add the closing quote: '",
            "quoted name" => "add the closing quote: \"",
            "dollar-quoted string" => "end it with the same $tag$ it begins with",
            "comment" => "end the comment with */; comments nest, so each /* needs its own",
            "parenthesis" => "add the closing parenthesis",
            COPY_DATA => {
                "begin the rows on the line below the statement, and end them with a line `\\.`"
            }
            _ => "end the block with END",
        }
    }
}

/// Refuses a text in which something is opened and never closed; `shown` is how messages call the file.
pub fn check_closed(shown: &str, text: &str) -> Result<()> {
    let Some(unclosed) = statements(text).find_map(|statement| statement.unclosed) else {
        return Ok(());
    };
    let at = position::of_byte(text, unclosed.offset);
    let message = format!("{shown}:{}:{}: {}", at.line, at.column, unclosed.message());
    Err(fail(message).hint(unclosed.help()).into())
}

/// Splits a text.
///
/// What stands after the last statement is [`rest`].
///
/// ```
/// let statements = af_db::sql::split::split("-- first\nSELECT ';'; SELECT 2");
/// assert_eq!(statements[0].text, "SELECT ';'");
/// assert_eq!(statements[0].position.line, 2);
/// assert_eq!(statements[1].text, "SELECT 2");
/// ```
pub fn split(text: &str) -> Vec<Statement<'_>> {
    statements(text).collect()
}

/// Splits a text as it is asked for the next statement.
pub fn statements(text: &str) -> Statements<'_> {
    Statements {
        source: text,
        tokens: token::tokens(text),
        counted: (0, Position::START),
        session: QuotingState::default(),
    }
}

/// Gives what stands after the last statement: white space and comments.
pub fn rest<'a>(text: &'a str, statements: &[Statement<'a>]) -> &'a str {
    &text[statements.last().map_or(0, Statement::until)..]
}

impl Statement<'_> {
    /// Gives the byte at which the whole piece ends, with what closes the statement and its data.
    pub fn until(&self) -> usize {
        self.end + self.tail.len() + self.data.map_or(0, str::len)
    }

    /// Gives the byte at which the whole piece begins, with what stands before the statement.
    pub fn from(&self) -> usize {
        self.start - self.lead.len()
    }

    /// Gives the comments that stand before it, in order.
    pub fn comments(&self) -> impl Iterator<Item = &str> {
        token::tokens(self.lead)
            .filter(|token| matches!(token.kind, TokenKind::LineComment | TokenKind::BlockComment))
            .map(|token| token.text(self.lead))
    }

    /// Gives its first words in upper case, such as `CREATE INDEX CONCURRENTLY`, for a message.
    pub fn verb(&self) -> String {
        classify::verb(self.text)
    }

    /// Says why PostgreSQL refuses it inside a transaction block, where it does.
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

/// Where the tokens of one statement stopped.
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

/// The lines below a `COPY … FROM stdin`.
struct CopyBlock<'a> {
    /// Where they begin.
    begin: usize,
    data: Option<&'a str>,
    /// Whether they have their closing `\.`.
    closed: bool,
}

impl<'a> Statements<'a> {
    fn first_token(&mut self) -> Option<Token> {
        self.tokens
            .find(|token| token.is_code() && token.kind != TokenKind::Semicolon)
    }

    /// psql reads a backslash outside of quotes as a command of its own that takes the rest of the line.
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
                    // `\gexec` and its kin end the statement before them.
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

    /// Takes the lines that belong to a `COPY … FROM stdin` that ended at `from`, as psql does: from the next line on.
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
            // psql would read this code after the rows, which no order of pieces can say.
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

/// Follows what keeps a semicolon inside a statement: parentheses, and the body of `BEGIN ATOMIC`.
#[derive(Default)]
struct Reader {
    parentheses: Vec<usize>,
    words: usize,
    /// How many of the words of `CREATE OR REPLACE` began the statement.
    head: usize,
    routine: bool,
    /// Where the word `BEGIN` just read stands.
    begins: Option<usize>,
    /// Whether the next word is a name, whatever it says: after `AS` and after a dot.
    named: bool,
    /// Where each open `BEGIN ATOMIC` and `CASE` of a routine's body began.
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
        // Between the statements stands nothing but white space, comments and semicolons.
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
    fn copied_data_belongs_to_its_statement() {
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
    fn what_is_not_closed_is_said() {
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
    fn what_is_not_closed_is_refused_with_its_place() {
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
