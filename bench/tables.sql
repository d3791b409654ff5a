-- Creates the measured tables. They are equal on every machine: apparent randomness is a checksum of the row's number.
-- `@orders` is the number of rows of `orders`. The others have fewer, wider rows and about as many bytes.

SET NAMES utf8mb4;
SET SESSION cte_max_recursion_depth = 1000;

-- A thousand numbers. Joined with themselves they give a million, without a temporary table of millions.
CREATE TABLE thousand (n INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE = InnoDB;
INSERT INTO thousand WITH RECURSIVE t (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < 999) SELECT n FROM t;

-- A typical export of orders: ids, an enum, decimals, datetimes, JSON, and Japanese text with quotes and line breaks.
CREATE TABLE orders (
    id             BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    order_number   CHAR(14) CHARACTER SET ascii NOT NULL,
    customer_id    INT UNSIGNED NOT NULL,
    status         ENUM('new', 'paid', 'shipped', 'cancelled', 'returned') NOT NULL,
    quantity       SMALLINT NOT NULL,
    unit_price     DECIMAL(10, 2) NOT NULL,
    total          DECIMAL(14, 2) NOT NULL,
    discount       DECIMAL(5, 2) NULL,
    created_at     DATETIME NOT NULL,
    updated_at     DATETIME(3) NOT NULL,
    shipped_at     TIMESTAMP NULL,
    customer_name  VARCHAR(100) NOT NULL,
    note           VARCHAR(500) NULL,
    attributes     JSON NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO orders
WITH
numbers AS (
    SELECT 1 + a.n * 1000000 + b.n * 1000 + c.n AS id
    FROM thousand a STRAIGHT_JOIN thousand b STRAIGHT_JOIN thousand c
    WHERE a.n < CEIL(@orders / 1000000) AND a.n * 1000000 + b.n * 1000 + c.n < @orders
),
drawn AS (
    SELECT id, CRC32(id) AS x, CRC32(CONCAT('note', id)) AS y, 1 + CRC32(CONCAT('quantity', id)) % 12 AS quantity,
           TIMESTAMP '2024-01-01 00:00:00' + INTERVAL id * 17 SECOND AS created_at
    FROM numbers
)
SELECT id,
       CONCAT('JP-', LPAD(x, 11, '0')),
       1 + y % 400000,
       ELT(1 + x % 5, 'new', 'paid', 'shipped', 'cancelled', 'returned'),
       quantity,
       (100 + x % 4999900) / 100,
       (100 + x % 4999900) / 100 * quantity,
       IF(y % 4 = 0, y % 5000 / 100, NULL),
       created_at,
       created_at + INTERVAL x % 900000000 * 1000 MICROSECOND,
       IF(x % 5 IN (2, 4), created_at + INTERVAL y % 500000 SECOND, NULL),
       CONCAT(ELT(1 + x % 8, '佐藤', '鈴木', '髙橋', '田中', '渡邊', '𠮷田', 'Müller', 'O''Connor'), ' ',
              ELT(1 + y % 8, '陽菜', '蓮', 'さくら', '大翔', '健一', 'ﾊﾅｺ', 'Zoë', 'Anna')),
       ELT(1 + y % 7, NULL, '領収書をお願いします。', '午前中、\n不在なら宅配ボックスへ', 'She said "no plastic", I agree',
           '宛名は「株式会社 青空」で、"至急"', 'Ring twice,\r\nthen leave it at the back door.', 'Gift wrap please'),
       JSON_OBJECT('channel', ELT(1 + x % 3, 'web', 'app', 'shop'), 'gift', y % 2 = 0)
FROM drawn;

-- Only text: most of it plain, some of it quoted.
CREATE TABLE texts (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
    a VARCHAR(200) NOT NULL, b VARCHAR(200) NOT NULL, c VARCHAR(200) NOT NULL, d VARCHAR(200) NOT NULL,
    e VARCHAR(200) NOT NULL, f VARCHAR(200) NOT NULL, g VARCHAR(200) NULL, h VARCHAR(200) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO texts
SELECT id, order_number, customer_name, CONCAT('customer', customer_id, '@example.com'),
       CONCAT(customer_name, '様 ', status), CONCAT('https://example.com/orders/', order_number, '/', LOWER(HEX(id))),
       CONCAT_WS(' ', status, quantity, 'pieces at', unit_price), note, CONCAT(LEFT(SHA2(id, 256), 40), status)
FROM orders WHERE id <= @orders * 2 / 3;

-- Only numbers and times.
CREATE TABLE numbers (
    id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    a INT NOT NULL, b BIGINT NOT NULL, c SMALLINT UNSIGNED NOT NULL, d TINYINT NOT NULL, e DECIMAL(12, 2) NOT NULL,
    f DECIMAL(18, 6) NULL, g DOUBLE NOT NULL, h FLOAT NOT NULL, i DATE NOT NULL, j DATETIME(6) NOT NULL, k TIME NOT NULL
) ENGINE = InnoDB;

INSERT INTO numbers
SELECT id, CAST(CRC32(id) AS SIGNED) - 2147483648, id * 1000003 - 77, customer_id % 65536, quantity - 6, total,
       IF(discount IS NULL, NULL, discount / 7), total / 7, ROUND(quantity / 3, 4), DATE(created_at),
       updated_at + INTERVAL customer_id MICROSECOND, SEC_TO_TIME(customer_id)
FROM orders;

-- A wide table of two hundred columns, as for reports.
CREATE TABLE wide (
    id INT UNSIGNED NOT NULL PRIMARY KEY,
{wide_columns}
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO wide
SELECT id{wide_values}
FROM orders WHERE id <= @orders / 20;
