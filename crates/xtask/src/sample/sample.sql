-- The sample shop. The same on every machine: whatever looks like chance is a checksum of the row's number.

SET NAMES utf8mb4;
SET SESSION cte_max_recursion_depth = 300000;
-- Instants are written here in UTC. The shop's days are Tokyo's, which begin nine hours earlier.
SET SESSION time_zone = '+00:00';

-- Who might be a customer. `latin` is how the name looks in an address.
CREATE TEMPORARY TABLE family_names (country CHAR(2), n TINYINT, name VARCHAR(40), latin VARCHAR(40), PRIMARY KEY (country, n));
INSERT INTO family_names VALUES
    ('JP', 0, '佐藤', 'sato'), ('JP', 1, '鈴木', 'suzuki'), ('JP', 2, '髙橋', 'takahashi'), ('JP', 3, '田中', 'tanaka'),
    ('JP', 4, '渡邊', 'watanabe'), ('JP', 5, '𠮷田', 'yoshida'),
    ('DE', 0, 'Müller', 'mueller'), ('DE', 1, 'Schröder', 'schroeder'), ('DE', 2, 'Weiß', 'weiss'),
    ('DE', 3, 'von der Heide', 'heide'), ('DE', 4, 'Kühn-Böhm', 'kuehn'), ('DE', 5, 'Becker', 'becker'),
    ('FR', 0, 'Lefèvre', 'lefevre'), ('FR', 1, 'Noël', 'noel'), ('FR', 2, 'D''Arçon', 'darcon'), ('FR', 3, 'Dubois', 'dubois'),
    ('FR', 4, 'Le Goff', 'legoff'), ('FR', 5, 'Béranger', 'beranger'),
    ('GB', 0, 'O''Connor', 'oconnor'), ('GB', 1, 'Smith, Jr.', 'smith'), ('GB', 2, 'Patel', 'patel'), ('GB', 3, 'Evans', 'evans'),
    ('GB', 4, 'MacLeod', 'macleod'), ('GB', 5, 'Taylor "Tay"', 'taylor'),
    ('BR', 0, 'Gonçalves', 'goncalves'), ('BR', 1, 'Araújo', 'araujo'), ('BR', 2, 'da Conceição', 'conceicao'),
    ('BR', 3, 'Pereira', 'pereira'), ('BR', 4, 'Simões', 'simoes'), ('BR', 5, 'Souza', 'souza'),
    ('KR', 0, '김', 'kim'), ('KR', 1, '이', 'lee'), ('KR', 2, '박', 'park'), ('KR', 3, '최', 'choi'), ('KR', 4, '정', 'jung'),
    ('KR', 5, '강', 'kang');
CREATE TEMPORARY TABLE given_names LIKE family_names;
INSERT INTO given_names VALUES
    ('JP', 0, '陽菜', 'hina'), ('JP', 1, '蓮', 'ren'), ('JP', 2, 'さくら', 'sakura'), ('JP', 3, '大翔', 'hiroto'),
    ('JP', 4, 'ﾊﾅｺ', 'hanako'), ('JP', 5, '健一', 'kenichi'),
    ('DE', 0, 'Jürgen', 'juergen'), ('DE', 1, 'Anna', 'anna'), ('DE', 2, 'Björn', 'bjoern'), ('DE', 3, 'Käthe', 'kaethe'),
    ('DE', 4, 'Lukas', 'lukas'), ('DE', 5, 'Zoë', 'zoe'),
    ('FR', 0, 'Chloé', 'chloe'), ('FR', 1, 'François', 'francois'), ('FR', 2, 'Maëlys', 'maelys'), ('FR', 3, 'Hugo', 'hugo'),
    ('FR', 4, 'Anne-Sophie', 'annesophie'), ('FR', 5, 'Jérôme', 'jerome'),
    ('GB', 0, 'Olivia', 'olivia'), ('GB', 1, 'George', 'george'), ('GB', 2, 'Siân', 'sian'), ('GB', 3, 'Amelia 🌻', 'amelia'),
    ('GB', 4, 'Harry', 'harry'), ('GB', 5, 'Priya', 'priya'),
    ('BR', 0, 'João', 'joao'), ('BR', 1, 'Luísa', 'luisa'), ('BR', 2, 'Antônio', 'antonio'), ('BR', 3, 'Beatriz 🎉', 'beatriz'),
    ('BR', 4, 'Caio', 'caio'), ('BR', 5, 'Inês', 'ines'),
    ('KR', 0, '서연', 'seoyeon'), ('KR', 1, '민준', 'minjun'), ('KR', 2, '지우', 'jiwoo'), ('KR', 3, '도윤', 'doyun'),
    ('KR', 4, '하은', 'haeun'), ('KR', 5, '예준', 'yejun');

-- What people write under an order, and what makes a careless CSV fall apart.
CREATE TEMPORARY TABLE notes (n TINYINT PRIMARY KEY, note VARCHAR(500));
INSERT INTO notes VALUES
    (0, ''), (1, 'Gift wrap, please'), (2, 'Ring twice,\nthen leave it at the back door.'), (3, 'She said "no plastic", I agree'),
    (4, '領収書をお願いします。宛名は「株式会社 青空」で。'), (5, '午前中、\r\n不在なら宅配ボックスへ'), (6, '=1+1 is what I paid last time :)'),
    (7, '+49 30 901820 (call before delivery)'), (8, '-10% as agreed with Mr. Kühn'), (9, '@reception, 3rd floor'),
    (10, 'Bitte nicht bei Müller abgeben; danke!'), (11, 'Code d''entrée : 1234#, bâtiment «C»'), (12, '\tindented by a tab'),
    (13, ' leading and trailing spaces '), (14, '🎁🎂 for Zoë''s birthday'), (15, 'C:\\Users\\anna\\orders'), (16, 'NULL'),
    (17, '\\N'), (18, '00123'), (19, '배송 전에 연락 주세요');

CREATE TABLE customers (
    id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name       VARCHAR(100) NOT NULL,
    email      VARCHAR(254) NOT NULL,
    country    CHAR(2) CHARACTER SET ascii NOT NULL,
    joined_on  DATE NOT NULL,
    UNIQUE KEY customers_email (email),
    KEY customers_country (country)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO customers (id, name, email, country, joined_on)
WITH RECURSIVE
numbers (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < 4000),
people AS (
    SELECT id, ELT(1 + CRC32(CONCAT('country', id)) % 9, 'JP', 'JP', 'JP', 'DE', 'DE', 'FR', 'GB', 'BR', 'KR') AS country,
           CRC32(CONCAT('family', id)) % 6 AS family, CRC32(CONCAT('given', id)) % 6 AS given,
           -- Two years before the first order to its end: some join late, and some never buy.
           DATE '2023-01-01' + INTERVAL CRC32(CONCAT('joined', id)) % 1270 DAY AS joined_on
    FROM numbers
)
SELECT people.id,
       IF(people.country IN ('JP', 'KR'), CONCAT(f.name, ' ', g.name), CONCAT(g.name, ' ', f.name)),
       CONCAT(g.latin, '.', f.latin, people.id, '@example.', ELT(1 + people.id % 3, 'com', 'net', 'org')),
       people.country, people.joined_on
FROM people
JOIN family_names f ON f.country = people.country AND f.n = people.family
JOIN given_names g ON g.country = people.country AND g.n = people.given
ORDER BY people.id;

CREATE TABLE orders (
    id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id      BIGINT UNSIGNED NOT NULL,
    created_at       TIMESTAMP(3) NOT NULL,
    status           ENUM('new', 'paid', 'shipped', 'cancelled', 'returned') NOT NULL,
    currency         CHAR(3) CHARACTER SET ascii NOT NULL,
    -- Negative for what was returned.
    total            DECIMAL(12, 2) NOT NULL,
    -- In per cent; NULL is none agreed, which is not the same as 0.00.
    discount         DECIMAL(5, 2) NULL,
    -- Eighteen digits: more than a spreadsheet's number can hold.
    tracking_number  BIGINT UNSIGNED NULL,
    note             TEXT NULL,
    KEY orders_created (created_at),
    KEY orders_customer (customer_id, status, total),
    CONSTRAINT orders_of_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- In the order of their numbers, one every 157 seconds and a bit, from 2025-01-01 until 2026-06-30 in Tokyo.
INSERT INTO orders (id, customer_id, created_at, status, currency, total, discount, tracking_number, note)
WITH RECURSIVE
numbers (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < 300000),
drawn AS (
    SELECT id, CRC32(CONCAT('amount', id)) AS amount, CRC32(CONCAT('status', id)) % 100 AS luck, CRC32(CONCAT('note', id)) AS whim,
           -- The square makes some customers buy often, and the last ones hardly ever.
           1 + FLOOR(POW(CRC32(CONCAT('customer', id)) / 4294967296, 2) * 3900) AS customer_id
    FROM numbers
),
fated AS (
    SELECT drawn.*, CASE
        WHEN id > 297000 AND luck < 60 THEN 'new'
        WHEN luck < 8 THEN 'paid'
        WHEN luck < 88 THEN 'shipped'
        WHEN luck < 94 THEN 'cancelled'
        ELSE 'returned' END AS status
    FROM drawn
)
SELECT fated.id, fated.customer_id,
       TIMESTAMP '2024-12-31 15:00:00.000' + INTERVAL (fated.id * 157248 - 157248 + fated.amount % 157248) * 1000 MICROSECOND,
       fated.status,
       CASE c.country WHEN 'JP' THEN 'JPY' WHEN 'GB' THEN 'GBP' WHEN 'BR' THEN 'BRL' WHEN 'KR' THEN 'KRW' ELSE 'EUR' END,
       IF(fated.status = 'returned', -1, 1)
           * CASE c.country WHEN 'JP' THEN 300 + amount % 60000 WHEN 'KR' THEN 3000 + amount % 600000 ELSE (500 + amount % 60000) / 100 END,
       CASE amount % 16 WHEN 0 THEN 0.00 WHEN 1 THEN 5.00 WHEN 2 THEN 10.00 WHEN 3 THEN 12.50 ELSE NULL END,
       IF(fated.status IN ('shipped', 'returned'), 400000000000000000 + CAST(amount AS UNSIGNED) * 40000001 + fated.id, NULL),
       notes.note
FROM fated
JOIN customers c ON c.id = fated.customer_id
LEFT JOIN notes ON fated.whim % 5 = 0 AND notes.n = fated.whim DIV 5 % 20
ORDER BY fated.id;

