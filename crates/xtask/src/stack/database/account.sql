CREATE USER IF NOT EXISTS 'downpipe'@'%';
ALTER USER 'downpipe'@'%' IDENTIFIED BY 'downpipe';
GRANT ALL ON *.* TO 'downpipe'@'%' WITH GRANT OPTION;
