# ジョブの終了をお知らせするメール。

ready-state = 準備完了
ready-subject = 「{ $title }」の準備ができました
ready-heading = 「{ $title }」の準備ができました。
ready-action = ダウンロード
ready-fetch = ファイルの取得方法

failed-state = 作成失敗
failed-subject = 「{ $title }」を作成できませんでした
failed-heading = 「{ $title }」を作成できませんでした。
unnamed-subject = ファイルを作成できませんでした
unnamed-heading = ファイルを作成できませんでした。
failed-action = 内容を確認する

cancelled-state = 中止
cancelled-subject = 「{ $title }」の作成を中止しました
cancelled-heading = 「{ $title }」の作成を中止しました。
cancelled-happened = 中止のご依頼があったため、作成を取りやめました。ファイルはありません。
cancelled-advice = 必要になったら、もう一度作成してください。
cancelled-action = もう一度作成

operator-state = 要対応
operator-subject = 【要対応】「{ $title }」の作成に失敗しました
operator-heading = 依頼した人には解決できない理由で、ファイルを作成できませんでした。
operator-notified = 依頼した人には、すでにメールでお知らせしています。
operator-action = ジョブを開く
operator-look = 確認する場所
operator-status = データベースや保存先からのメッセージも表示されます
operator-log = ワーカーのログ
operator-log-under = ジョブ番号で検索すると、詳しい経過がわかります

refusal-state = 要対応
refusal-subject = 「{ $title }」のお知らせメールが拒否されました
refusal-heading = お知らせメールが、内容を理由に拒否されました。
refusal-instead = 代わりに、結果だけを記した短いメールを送ります。

short-ready = ファイルの準備ができました
short-failed = ファイルを作成できませんでした
short-cancelled = ファイルの作成を中止しました
short-body = 詳しい内容を記したメールは送信できませんでした。詳細は、このエクスポートの管理者にジョブ番号を伝えてお問い合わせください。

happened = 理由
advice = 対処方法
asked-for = 依頼の内容
asked-for-more = ほか{ $more }件
not-given = （指定なし）

export = エクスポート
requester = 依頼した人
failure = エラーコード
attempts = 試行回数
file = ファイル
files = ファイル数
file-with-rows = { $file }（{ GROUPED($rows) }行）
rows = 行数
size = サイズ
bytes = { GROUPED($bytes) }バイト
as-of = データの時点
until = 読み込み完了
until-several-runs = { $moment }、複数回に分けて読み込み
kept-until = 保存期限
time-zone = タイムゾーン
time-zone-of-file = { $zone }（ファイル内の時刻は { $file }）
job = ジョブ番号

changes = データベースの値と異なる箇所
changes-more = ほか{ $more }列（すべての列はレシートに記載しています）
change = { $what }：{ GROUPED($count) }件
change-formulas_guarded = 数式とみなされないよう、先頭にアポストロフィを付けた値
change-numbers_as_text = 桁が失われないよう、文字列として書き込んだ数値
change-dates_as_text = 表計算ソフトで扱えないため、文字列として書き込んだ日付
change-zero_dates_as_null = 日付ではないため、空欄にした値（0000-00-00）
change-microseconds_hidden = ミリ秒より下を切り捨てた時刻
change-times_as_text = 秒の小数が3桁を超えるため、Excel では文字列として扱われる時刻
change-texts_too_long = 32,767文字を超えるため、Excel では途中で切れる文字列
change-nulls_as_empty = 空行として読み飛ばされないよう、空文字列として書き込んだ NULL
change-lookalike_characters = 見た目が同じ別の文字に置き換えた文字
change-unmappable_characters = 文字コードにないため「?」に置き換えた文字
change-invalid_text = 文字として読めないバイト列を含むセル
change-masked = マスクしたセル

footer-requester = このメールは、あなたのメールアドレスで依頼があったためお送りしています。
footer-operator = このメールは、エクスポートの管理者の方にお送りしています。
