//! Creates a table of every MySQL type, with the values at the edges of each.

use crate::database::Server;

/// Returns the statements that create the table `all_types`: every column type, with the least, the
/// greatest, an empty and an unusual value, and `NULL`.
pub fn statements(server: Server) -> String {
    let mut columns: Vec<&str> = COLUMNS.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if server == Server::MySql {
        // MariaDB does not have the character set gb18030.
        columns.push("gb VARCHAR(20) CHARACTER SET gb18030");
    }
    let gb = |value: &str| if server == Server::MySql { format!(", {value}") } else { String::new() };
    let nulls = vec!["NULL"; columns.len() - 3].join(", ");
    format!(
        "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00';
         CREATE TABLE all_types ({});
         INSERT INTO all_types (id, {NAMES}{}) VALUES
         ({LEAST}{}), ({GREATEST}{}), ({ODD}{}), (4, {nulls});",
        columns.join(", "),
        gb("gb"),
        gb("''"),
        gb("_utf8mb4'中文🚀'"),
        gb("_utf8mb4'é'"),
    )
}

/// Returns the names of the columns that can be written: all but the generated ones.
pub fn names(server: Server) -> String {
    let gb = if server == Server::MySql { ", gb" } else { "" };
    format!("id, {NAMES}{gb}")
}

const COLUMNS: &str = "
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT
    tiny TINYINT
    utiny TINYINT UNSIGNED
    flag BOOLEAN
    small SMALLINT
    usmall SMALLINT UNSIGNED
    medium MEDIUMINT
    umedium MEDIUMINT UNSIGNED
    i INT
    ui INT UNSIGNED
    big BIGINT
    ubig BIGINT UNSIGNED
    filled INT(6) ZEROFILL
    bigfilled BIGINT(20) ZEROFILL
    exact DECIMAL(65,30)
    money DECIMAL(12,2)
    whole DECIMAL(20,0)
    udecimal DECIMAL(10,4) UNSIGNED
    f FLOAT
    d DOUBLE
    b1 BIT(1)
    b17 BIT(17)
    b64 BIT(64)
    day DATE
    at DATETIME
    at3 DATETIME(3)
    at6 DATETIME(6)
    stamp TIMESTAMP NULL DEFAULT NULL
    stamp6 TIMESTAMP(6) NULL DEFAULT NULL
    t TIME
    t6 TIME(6)
    y YEAR
    c CHAR(5)
    v VARCHAR(100) CHARACTER SET utf8mb4
    vbin VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
    latin VARCHAR(20) CHARACTER SET latin1
    sj VARCHAR(20) CHARACTER SET sjis
    cp VARCHAR(20) CHARACTER SET cp932
    u16 VARCHAR(20) CHARACTER SET utf16
    u32 VARCHAR(20) CHARACTER SET utf32
    asc_ VARCHAR(20) CHARACTER SET ascii
    fixed BINARY(3)
    bytes VARBINARY(300)
    tinyt TINYTEXT
    words TEXT
    mediumt MEDIUMTEXT
    longt LONGTEXT
    tinyb TINYBLOB
    data BLOB
    mediumb MEDIUMBLOB
    longb LONGBLOB
    e ENUM('small','large','日本','with,comma','')
    s SET('a','b','c d','\"q\"')
    j JSON
    g GEOMETRY
    p POINT
    hidden_ INT INVISIBLE
    doubled BIGINT GENERATED ALWAYS AS (i * 2) VIRTUAL
    stored_ BIGINT GENERATED ALWAYS AS (small + 1) STORED
";

const NAMES: &str = "tiny, utiny, flag, small, usmall, medium, umedium, i, ui, big, ubig, filled, bigfilled, exact, money, whole, \
    udecimal, f, d, b1, b17, b64, day, at, at3, at6, stamp, stamp6, t, t6, y, c, v, vbin, latin, sj, cp, u16, u32, asc_, \
    fixed, bytes, tinyt, words, mediumt, longt, tinyb, data, mediumb, longb, e, s, j, g, p, hidden_";

const LEAST: &str = r#"0, -128, 0, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 0, 0,
    '-99999999999999999999999999999999999.999999999999999999999999999999', -9999999999.99, -99999999999999999999, 0,
    -3.40282e38, -1.7976931348623157e308, b'0', b'0', b'0', '0000-00-00', '0000-00-00 00:00:00', '1000-01-01 00:00:00',
    '0000-00-00 00:00:00.000000', '1970-01-01 00:00:01', '0000-00-00 00:00:00', '-838:59:59', '-838:59:58.999999', 1901,
    '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '{}',
    ST_GeomFromText('POINT(0 0)'), ST_GeomFromText('POINT(-1.5 1e-7)'), -1"#;

const GREATEST: &str = r#"2, 127, 255, 1, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807,
    18446744073709551615, 999999, 18446744073709551615,
    '99999999999999999999999999999999999.999999999999999999999999999999', 9999999999.99, 99999999999999999999, 999999.9999,
    3.40282e38, 1.7976931348623157e308, b'1', b'11111111111111111', ~0, '9999-12-31', '9999-12-31 23:59:59',
    '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', '838:59:59',
    '838:59:58.999999', 2155, 'abcde', REPEAT('🚀', 100), 'Ａ', 'ÿéü€', '日本語', '髙﨑①～', '𠮷野家🍣', '😀', '~',
    x'FFFEFD', REPEAT(x'00FF5C22', 75), REPEAT('t', 255), REPEAT('日本', 5000), REPEAT('m', 70000), REPEAT('l', 100000),
    REPEAT(x'00', 255), REPEAT(x'0A0D225C', 1000), REPEAT(x'FF', 70000), REPEAT(x'5C4E', 50000), 'with,comma',
    'a,b,c d,"q"', '{"a": [1, 2.5, "x\\"y\\\\z", null, true], "日本": "🚀", "big": 18446744073709551615}',
    ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))'), ST_GeomFromText('POINT(179.9999999 -89.123456789012345)'), 2147483647"#;

const ODD: &str = r#"3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 42, 42, '0.000000000000000000000000000001', -0.01, 0, 0.0001,
    1.17549e-38, 5e-324, b'1', b'10101010101010101', x'8000000000000001', '2026-02-31', '2026-02-00 12:00:00',
    '0001-01-01 00:00:00.001', '2026-06-15 12:34:56.000001', '2026-03-29 01:30:00', '1970-01-01 00:00:01.000001', '-00:00:01',
    '-00:00:00.000001', 0, 'a  b', 'quote" ''single'' ,comma; tab	 back\\slash \\N NULL',
    'line
feed', CONCAT('cr', CHAR(13), 'nul', CHAR(0), 'bell', CHAR(7)), '\\N', 'NULL', '"', '""', ',',
    x'000000', x'', 'NULL', '=1+1', '-1', ' leading and trailing ', x'4E554C4C', x'5C4E', x'22', x'2C',
    '日本', '', '"a string"', ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), ST_GeomFromText('POINT(1 2)'), 0"#;
