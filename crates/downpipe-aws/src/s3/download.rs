//! The command with which a person downloads files from S3.

/// Returns the command that copies the files at these addresses to the reader's folder. Several lie in a folder of their own, and
/// are copied at once.
pub(super) fn command(addresses: &[&str]) -> Option<String> {
    let quoted = |address: &str| format!("'{}'", address.replace('\'', r"'\''"));
    match addresses {
        [] => None,
        [file] => Some(format!("aws s3 cp {} .", quoted(file))),
        [file, ..] => {
            let folder = file.rfind('/').map_or("", |slash| &file[..=slash]);
            Some(format!("aws s3 cp --recursive {} .", quoted(folder)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_for_one_file_quotes_its_address() {
        let command = command(&["s3://bucket/a/it's.csv"]).unwrap();
        assert_eq!(command, r"aws s3 cp 's3://bucket/a/it'\''s.csv' .");
    }

    #[test]
    fn command_for_several_files_copies_their_folder() {
        let files = ["s3://bucket/a/orders-1-of-2.csv", "s3://bucket/a/orders-2-of-2.csv"];
        assert_eq!(command(&files).unwrap(), "aws s3 cp --recursive 's3://bucket/a/' .");
        assert_eq!(command(&[]), None);
    }
}
