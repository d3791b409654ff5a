# ファイルを作成できなかった理由。名前は `failure-CODE` または `failure-CODE-CASE`、属性 `advice` は対処方法。

-ask-again = もう一度お試しください。それでも作成できないときは、このエクスポートの管理者にジョブ番号をお知らせください。
-ask-operator = もう一度試しても同じ結果になります。このエクスポートの管理者にジョブ番号をお知らせください。
-ask-for-less = 期間を短くするなど、一度に出力する量を減らしてください。

failure-tried = { $attempts }回試しましたが、成功しませんでした。

failure-rejected = 指定内容に誤りがあるため、受け付けられませんでした。{ $rejections }。
    .advice = 指定内容を直して、もう一度お試しください。
failure-rejection = { $field } には{ $expected }を指定してください（受け取った値：{ $actual }）
failure-rejection-separator = 。
failure-rejection-more = ほか{ $more }件

failure-too_long = { $runs }回に分けて処理しましたが、完了しませんでした。
    .advice = { -ask-for-less }
failure-crashed = 何度か試しましたが、いずれも処理が途中で止まりました。
    .advice = { -ask-operator }
failure-ledger = ジョブの状態を記録できませんでした。
    .advice = { -ask-again }

failure-database_unavailable = データベースに接続できませんでした。
    .advice = { -ask-again }
failure-database_untrusted = 接続先が正しいデータベースであることを確認できませんでした。
    .advice = { -ask-operator }
failure-login_refused = データベースへのログインが拒否されました。
    .advice = { -ask-operator }
failure-query_failed = データベースでクエリを実行できませんでした（エラー { $error }）。
    .advice = { -ask-operator }
failure-database_busy = データベースが混み合っているため、いまはエクスポートできません（エラー { $error }）。
    .advice = { -ask-again }
failure-locked = 読み込むテーブルが別の処理にロックされたまま、時間内に解放されませんでした。
    .advice = { -ask-again }
failure-unknown_type = VECTOR など、読み込めない型の列がクエリの結果に含まれています。
    .advice = もう一度試しても同じ結果になります。管理者が定義のクエリで列を変換する必要があります（文字として読むなら VECTOR_TO_STRING(列)、バイト列のままなら CAST(列 AS BINARY)）。
failure-stopped = エクスポートは中止されました。
    .advice = 必要になったら、もう一度作成してください。
failure-killed = クエリがデータベース側で停止されました。
    .advice = { -ask-again }
failure-short_result = データベースからの結果が途中で終わりました。
    .advice = { -ask-again }
failure-session = データベースの設定が想定と異なるため、結果の正しさを保証できません（{ $variable }：想定は「{ $expected }」、実際は「{ $actual }」）。
    .advice = { -ask-operator }
failure-session_changed = ファイルの作成中にデータベースの設定が変わったため、中断しました（{ $variable }：開始時は「{ $expected }」、現在は「{ $actual }」）。
    .advice = もう一度お試しください。
failure-unseen_warnings = 値が途中で切れている可能性があります。クエリの警告が{ GROUPED($counted) }件ありましたが、確認できたのは{ GROUPED($listed) }件だけでした。
    .advice = もう一度試しても同じ結果になります。管理者が、警告が減るようにクエリを直すか、サーバーの max_error_count を増やすか、ユーザーに SESSION_VARIABLES_ADMIN 権限を与える必要があります。
failure-columns_changed = ファイルの作成中に、データベースの列が変更されました。
    .advice = もう一度お試しください。

failure-definition-no_columns = 定義のクエリが列を返さないため、書き込む内容がありません。
    .advice = { -ask-operator }
failure-definition-database = エクスポートの定義がデータベースに合っていません（{ $reason }）。
    .advice = { -ask-operator }
failure-definition-query = エクスポートの定義がクエリの結果に合っていません（{ $reason }）。
    .advice = { -ask-operator }
failure-definition-data = エクスポートの定義がデータに合っていません（{ $reason }）。
    .advice = { -ask-operator }
failure-resume_key-null = 処理を再開できる順番で行が並んでいません。{ GROUPED($row) }行目で、再開に使う列「{ $column }」が NULL です。
    .advice = もう一度試しても同じ結果になります。管理者が、再開に使う列の昇順に並び、同じ値が二度現れないようにクエリを直す必要があります。
failure-resume_key-not_ascending = 処理を再開できる順番で行が並んでいません。{ GROUPED($row) }行目で、再開に使う列「{ $column }」の値が前の行より大きくなっていません。
    .advice = もう一度試しても同じ結果になります。管理者が、再開に使う列の昇順に並び、同じ値が二度現れないようにクエリを直す必要があります。

failure-timed_out = クエリが制限時間内に終わりませんでした。
    .advice = { -ask-for-less }
failure-timed_out-held_back = クエリが制限時間内に終わりませんでした。このうち{ GROUPED($seconds) }秒は、{ $key } による速度制限で待っていた時間です。
    .advice = { -ask-for-less }または、管理者に { $key } の変更を依頼してください。
failure-timed_out-no_resume = 1回の処理時間の上限を超えました。このエクスポートは、続きから再開することができません。
    .advice = { -ask-for-less }管理者が定義に [resume] を加えると、続きから再開できるようになります。
failure-timed_out-format = 1回の処理時間の上限を超えました。この形式のファイルは、続きから再開することができません。
    .advice = 続きから再開できる形式（csv、tsv、jsonl。zip は除く）を選ぶか、一度に出力する量を減らしてください。
failure-timed_out-resume_key = 1回の処理時間の上限を超えました。再開に使う列に、続きを特定できない値があります。
    .advice = 一度に出力する量を減らしてください。管理者は、再開に使う列を、整数、小数、日付、バイト列、または英数字とハイフンだけの文字列の列に変更できます。
failure-timed_out-too_slow = 1回の処理時間の上限を超えました。続きから再開できるところまで書き込めていませんでした。
    .advice = 一度に出力する量を減らしてください。管理者は、再開に使う列に索引を付けるか、[throttle] の上限を上げることで、行が早く届くようにできます。

failure-too_large-rows = 結果が上限の{ GROUPED($most) }行を超えています。
    .advice = { -ask-for-less }
failure-too_large-bytes = 結果が上限の{ GROUPED($most) }バイトを超えています。
    .advice = { -ask-for-less }
failure-sheet_full = 結果が1枚のシートの上限（{ GROUPED($most) }行）を超えています。このエクスポートで作成できるファイルは1つだけです。
    .advice = 一度に出力する量を減らすか、複数のシートに分けられる圧縮形式「zip」、またはプロファイル「plain」を選んでください。
failure-does_not_fit = この形式では書き込めない内容があります（{ $place }：{ $format } の条件は { $expected }、実際は { $actual }）。
    .advice = すべての値を書き込める csv など、別の形式を選んでください。
failure-compression = ファイルを圧縮できませんでした。
    .advice = { -ask-operator }
failure-disk_full = ファイルが大きすぎて、ワークブックを組み立てる作業用ディスクに収まりません。
    .advice = 一度に出力する量を減らすか、csv など別の形式を選んでください。
failure-disk = 作業用ディスクでファイルを組み立てられませんでした。
    .advice = { -ask-operator }
failure-storage = ファイルを保存できませんでした。
    .advice = { -ask-again }
failure-storage-refused = ファイルを保存できませんでした。
    .advice = { -ask-operator }

# このバージョンが知らないコード。
failure-unknown = ファイルを作成できませんでした。
    .advice = { -ask-again }
